package dev.nibble.formats.diffusers;

import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// Tells weights from other files by their names.
///
/// | name | what |
/// |---|---|
/// | `<base>.safetensors` | weights in one file |
/// | `<base>.<variant>.safetensors` | the same in another precision |
/// | `<base>.safetensors.index.json` | the index of weights in shards |
/// | `<base>.safetensors.index.<variant>.json` | the same in another precision |
/// | `<base>-00001-of-00002.safetensors` | a shard, with a variant before or behind the number |
final class WeightFiles {
  private static final Pattern SHARD = Pattern.compile(".+-\\d{5}-of-\\d{5}(\\..+)?\\.safetensors");
  private static final Pattern INDEX = Pattern.compile("(.+)\\.safetensors\\.index(\\..+)?\\.json");
  private static final Pattern SINGLE = Pattern.compile("(.+)\\.safetensors");

  /// Endings of files that hold weights in any format: never copied beside ours.
  private static final Pattern WEIGHTS =
      Pattern.compile(
          ".*\\.(safetensors|bin|pt|pth|ckpt|gguf|ggml|onnx|onnx_data|pb|msgpack|h5|ot|tflite|pkl"
              + "|pickle|npz|npy|mlmodel|engine|plan|index(\\..+)?\\.json)",
          Pattern.CASE_INSENSITIVE);

  /// Tokenizers reach tens of megabytes; what is larger is data of some kind.
  private static final long LARGEST_OTHER = 64L << 20;

  private WeightFiles() {}

  /// A file that may be opened as weights.
  ///
  /// @param base its name up to the first ending that says what it is
  private record Candidate(Path path, String base, boolean index) {
    static Optional<Candidate> of(Path path) {
      String name = path.getFileName().toString();
      Matcher index = INDEX.matcher(name);
      if (index.matches()) {
        String variant = Optional.ofNullable(index.group(2)).orElse("");
        return Optional.of(new Candidate(path, index.group(1) + variant, true));
      }
      Matcher single = SINGLE.matcher(name);
      return single.matches() && !SHARD.matcher(name).matches()
          ? Optional.of(new Candidate(path, single.group(1), false))
          : Optional.empty();
    }

    /// Whether this is a variant of the weights with that base name.
    boolean variantOf(String wanted) {
      return base.startsWith(wanted + ".");
    }
  }

  /// Whether there are safetensors weights among files.
  static boolean present(List<Path> files) {
    return files.stream().anyMatch(file -> Candidate.of(file).isPresent());
  }

  /// The base name of chosen weights: their name without endings and variant.
  static String baseOf(Path weights) {
    Matcher index = INDEX.matcher(weights.getFileName().toString());
    return index.matches()
        ? index.group(1)
        : Candidate.of(weights).map(Candidate::base).orElseThrow();
  }

  /// The weights of a directory: those with the base name of its kind, else the only ones.
  ///
  /// @throws UnsupportedException if there are none, or several
  static Path choose(Path directory, Kind kind, List<Path> files) {
    List<Candidate> all =
        files.stream()
            .filter(Files::isRegularFile)
            .map(Candidate::of)
            .flatMap(Optional::stream)
            .toList();
    List<Candidate> named = kind == Kind.BARE ? List.of() : named(all, kind.baseName());
    if (named.isEmpty()) {
      named = withoutVariants(all);
    }
    if (named.isEmpty()) {
      throw new UnsupportedException(directory.toString(), nothing(files));
    }
    if (named.size() > 1) {
      throw new UnsupportedException(
          directory.toString(),
          "holds several weights, name the file to use: "
              + names(named.stream().map(Candidate::path).toList()));
    }
    return named.getFirst().path();
  }

  /// What a loader would take for that base name: the plain weights, else the variants.
  private static List<Candidate> named(List<Candidate> all, String base) {
    List<Candidate> plain = all.stream().filter(file -> file.base().equals(base)).toList();
    return plain.isEmpty() ? all.stream().filter(file -> file.variantOf(base)).toList() : plain;
  }

  /// Leaves out what is a variant of another candidate.
  private static List<Candidate> withoutVariants(List<Candidate> all) {
    return all.stream()
        .filter(file -> all.stream().noneMatch(other -> file.variantOf(other.base())))
        .toList();
  }

  private static String nothing(List<Path> files) {
    List<Path> shards =
        files.stream()
            .filter(file -> SHARD.matcher(file.getFileName().toString()).matches())
            .toList();
    if (!shards.isEmpty()) {
      return "holds shards ("
          + names(shards)
          + ") but not their *.safetensors.index.json: fetch it";
    }
    List<Path> weights = files.stream().filter(WeightFiles::isWeights).toList();
    if (!weights.isEmpty()) {
      return "holds no safetensors file, only "
          + names(weights)
          + ": fetch the model's safetensors files";
    }
    return "holds no *.safetensors file: is this the model's directory?";
  }

  private static String names(List<Path> files) {
    String few =
        files.stream()
            .limit(5)
            .map(file -> file.getFileName().toString())
            .collect(Collectors.joining(", "));
    return files.size() > 5 ? few + ", ..." : few;
  }

  /// The files that belong to a model and are neither weights nor its configuration, nor hidden.
  static List<Path> others(List<Path> files) throws IOException {
    List<Path> others = new ArrayList<>();
    for (Path file : files) {
      String name = file.getFileName().toString();
      if (Files.isRegularFile(file)
          && !name.startsWith(".")
          && !name.toLowerCase(Locale.ROOT).equals("config.json")
          && !isWeights(file)
          && Files.size(file) <= LARGEST_OTHER) {
        others.add(file);
      }
    }
    return others;
  }

  private static boolean isWeights(Path file) {
    return WEIGHTS.matcher(file.getFileName().toString()).matches();
  }
}
