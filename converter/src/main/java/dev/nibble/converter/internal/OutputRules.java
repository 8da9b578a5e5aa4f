package dev.nibble.converter.internal;

import dev.nibble.converter.ConversionException;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/// What an output may stand in the place of.
public final class OutputRules {
  private OutputRules() {}

  /// Requires that writing the target touches no input: it is none of them, lies inside none, and
  /// contains none.
  ///
  /// @throws ConversionException naming the target and the cure
  public static void requireApart(Path target, List<Path> inputs) throws IOException {
    Path real = real(target);
    for (Path input : inputs) {
      Path realInput = real(input);
      boolean inside = real.startsWith(realInput) && Files.isDirectory(realInput);
      if (real.equals(realInput) || inside || realInput.startsWith(real)) {
        throw new ConversionException(
            target
                + ": the output "
                + (real.equals(realInput)
                    ? "is the input"
                    : inside ? "lies inside the input" : "contains the input")
                + ", which is never touched: choose another -o");
      }
    }
  }

  /// With `--force` a directory is replaced as a whole: only one that holds nothing but the files
  /// of an earlier output of the same kind, so that nothing else is lost with it.
  ///
  /// @param baseName what the weight files are called, without ending and shard number
  /// @param others names of the other files that the output will have
  /// @throws ConversionException naming a file that would be lost
  public static void requireReplaceable(Path directory, String baseName, Set<String> others)
      throws IOException {
    if (!Files.isDirectory(directory)) {
      return;
    }
    try (Stream<Path> entries = Files.list(directory)) {
      for (Path entry : entries.sorted().toList()) {
        String name = String.valueOf(entry.getFileName());
        boolean ours = others.contains(name) || isConfiguration(name) || isWeights(name, baseName);
        if (!ours || !Files.isRegularFile(entry)) {
          throw lost(directory, name);
        }
      }
    } catch (IOException e) {
      throw IoErrors.at(directory, e);
    }
  }

  /// The same for a pipeline's directory.
  ///
  /// @param copied paths of files, `/` between their parts, that the output will have
  /// @param converted what the weight files of a component's directory are called, by its name;
  ///   also more paths of files, with anything
  /// @throws ConversionException naming a file that would be lost
  public static void requireReplaceableTree(
      Path directory, Set<String> copied, Map<String, String> converted) throws IOException {
    try (Stream<Path> entries = Files.walk(directory)) {
      for (Path entry : entries.filter(file -> !Files.isDirectory(file)).sorted().toList()) {
        Path path = directory.relativize(entry);
        String name = path.toString().replace('\\', '/');
        Path folder = path.getParent();
        String base = folder == null ? null : converted.get(folder.toString());
        String file = String.valueOf(path.getFileName());
        boolean ours =
            copied.contains(name)
                || converted.containsKey(name)
                || (base != null && (isConfiguration(file) || isWeights(file, base)));
        if (!ours || !Files.isRegularFile(entry)) {
          throw lost(directory, name);
        }
      }
    } catch (IOException e) {
      throw IoErrors.at(directory, e);
    }
  }

  private static ConversionException lost(Path directory, String name) {
    return new ConversionException(
        directory
            + ": holds '"
            + name
            + "', which is no file of this output, so --force does not replace it: choose another"
            + " -o, or move that file away");
  }

  private static boolean isConfiguration(String name) {
    return name.equals("config.json") || name.equals(QuantizationConfig.GPTQ_FILE);
  }

  private static boolean isWeights(String name, String baseName) {
    if (!name.startsWith(baseName)) {
      return false;
    }
    String rest = name.substring(baseName.length());
    return rest.matches("(-\\d{5}-of-\\d{5})?\\.safetensors(\\.index\\.json)?");
  }

  /// The path with its links resolved, as far as it exists.
  private static Path real(Path path) throws IOException {
    Path absolute = path.toAbsolutePath().normalize();
    Path parent = absolute;
    while (parent != null && !Files.exists(parent)) {
      parent = parent.getParent();
    }
    if (parent == null) {
      return absolute;
    }
    try {
      return parent.toRealPath().resolve(parent.relativize(absolute)).normalize();
    } catch (IOException e) {
      throw IoErrors.at(parent, e);
    }
  }
}
