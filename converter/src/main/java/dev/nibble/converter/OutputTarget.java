package dev.nibble.converter;

import dev.nibble.converter.ConversionRequest.OutputForm;
import dev.nibble.converter.internal.OutputRules;
import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.quant.GgmlBlock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/// Where the output goes, and in which form.
///
/// | source | `-o` | output |
/// |---|---|---|
/// | directory `M/` | | directory `M-nf4/` beside it |
/// | file `m.safetensors` with a configuration | | directory `m-nf4/` beside it |
/// | file `m.safetensors` | | file `m-nf4.safetensors` beside it |
/// | any, with a scheme of ggml's types | | file `m-Q4_K_M.gguf` beside it |
/// | any | `X.safetensors` or `X.gguf`, or form FILE | file |
/// | any | form DIRECTORY | directory |
/// | any | another path | the form of the first three lines, at that path |
///
/// @param path absolute
/// @param directory whether it is a directory
/// @param baseName what the weight files in it are called, without ending and shard number
record OutputTarget(Path path, boolean directory, String baseName) {
  private static final String FILE_ENDING = ".safetensors";
  private static final String GGUF_ENDING = ".gguf";
  private static final String INDEX_ENDING = ".safetensors.index.json";

  /// The default name ends with the first scheme, without one with the names' dialect.
  ///
  /// @param source with the names of the output
  /// @param directory whether the output is a directory
  /// @throws ConversionException if a form is asked for that the source does not allow
  static OutputTarget of(
      ConversionRequest request, PlanSource source, Recognition model, boolean directory) {
    String scheme = schemeName(request);
    String ending = request.writesGguf() ? GGUF_ENDING : FILE_ENDING;
    requireEnding(request, ending);
    if (directory && !model.opensAsDirectory()) {
      throw notADirectoryModel(source, model);
    }
    if (directory && source.config().isEmpty() && source.directory().isEmpty()) {
      throw new ConversionException(
          source.label()
              + ": a model directory needs the model's config.json: name it with --config FILE, or"
              + " write a single file with -o X.safetensors");
    }
    String name = stem(source) + "-" + scheme.replaceAll("[^A-Za-z0-9._-]", "-");
    Path beside = source.path().toAbsolutePath().normalize();
    Path path =
        request
            .output()
            .map(output -> output.toAbsolutePath().normalize())
            .orElseGet(() -> beside.resolveSibling(directory ? name : name + ending));
    String baseName = directory ? baseName(source) : withoutEnding(fileName(path));
    return new OutputTarget(path, directory, baseName);
  }

  /// `nf4`; of GGUF files as people name them, `Q4_K_M`.
  private static String schemeName(ConversionRequest request) {
    Optional<String> first =
        request.schemes().stream()
            .map(SchemeRule::scheme)
            .findFirst()
            .map(scheme -> scheme instanceof GgmlBlock block ? block.type().name() : scheme.id());
    return request
        .gguf()
        .map(GgufMix::name)
        .or(() -> first.map(scheme -> withCalibration(scheme, request)))
        .or(() -> request.names().map(Dialect::optionName))
        .orElse("copy");
  }

  /// `nf4-gptq`.
  private static String withCalibration(String scheme, ConversionRequest request) {
    return request.calibration().map(how -> scheme + "-" + how.label()).orElse(scheme);
  }

  /// A name may not promise another format.
  private static void requireEnding(ConversionRequest request, String ending) {
    String other = ending.equals(GGUF_ENDING) ? FILE_ENDING : GGUF_ENDING;
    Optional<Path> output = request.output().filter(path -> endsWith(path, other));
    if (output.isPresent()) {
      throw new ConversionException(
          output.get()
              + (ending.equals(GGUF_ENDING)
                  ? ": ggml's types are written to a GGUF file: name X.gguf"
                  : ": a GGUF file holds ggml's types: take --gguf Q8_0 or the like, or name"
                      + " X.safetensors"));
    }
  }

  /// Whether the output of a source is a directory.
  ///
  /// @param source as it is stored
  static boolean isDirectory(ConversionRequest request, PlanSource source, Recognition model) {
    boolean original = request.names().filter(Dialect.ORIGINAL::equals).isPresent();
    boolean library =
        model.opensAsDirectory() || request.names().filter(Dialect.LIBRARY::equals).isPresent();
    if (request.writesGguf()) {
      if (request.form() == OutputForm.DIRECTORY) {
        throw new ConversionException(
            "%s: ggml's types are written to one file: name X.gguf"
                .formatted(request.output().map(Path::toString).orElse("-o")));
      }
      return false;
    }
    return switch (request.form()) {
      case FILE -> false;
      case DIRECTORY -> true;
      case AUTO ->
          !original
              && request.output().filter(output -> endsWith(output, FILE_ENDING)).isEmpty()
              && (source.directory().isPresent()
                  || request.config().isPresent()
                  || (source.config().isPresent() && library));
    };
  }

  private static ConversionException notADirectoryModel(PlanSource source, Recognition model) {
    String names =
        model.prefix().isEmpty()
            ? "has the original names of " + model.family().label()
            : "has names that begin with '" + model.prefix() + "'";
    return new ConversionException(
        source.label()
            + ": "
            + names
            + ", which no loader of model directories knows: write a single file with -o"
            + " X.safetensors, or take --names diffusers, where nibble knows them");
  }

  private static String baseName(PlanSource source) {
    boolean bare = source.kind() == ModelDirectory.Kind.BARE;
    return bare && source.directory().isPresent()
        ? source.directory().get().baseName()
        : source.kind().baseName();
  }

  private static String stem(PlanSource source) {
    String name = fileName(source.path().toAbsolutePath().normalize());
    return source.directory().isPresent() ? name : withoutEnding(name);
  }

  private static String withoutEnding(String name) {
    String lower = name.toLowerCase(Locale.ROOT);
    for (String ending : List.of(INDEX_ENDING, FILE_ENDING, GGUF_ENDING, ".json")) {
      if (lower.endsWith(ending) && name.length() > ending.length()) {
        return name.substring(0, name.length() - ending.length());
      }
    }
    return name;
  }

  private static String fileName(Path path) {
    Path name = path.getFileName();
    return name == null ? "model" : name.toString();
  }

  private static boolean endsWith(Path path, String ending) {
    return fileName(path).toLowerCase(Locale.ROOT).endsWith(ending);
  }

  /// Checks that writing here harms nothing: never the source, and what exists only with `force`,
  /// and then only what is of the same form and looks like a model.
  ///
  /// @throws ConversionException saying what stands in the way
  /// @throws IOException if the file system does not answer
  void requireFree(PlanSource source, boolean force) throws IOException {
    OutputRules.requireApart(path, inputs(source));
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!force) {
      throw new ConversionException(
          path + ": exists already: give --force to replace it, or choose another -o");
    }
    if (Files.isDirectory(path) != directory) {
      throw new ConversionException(
          path
              + (directory ? ": is a file, not a directory" : ": is a directory, not a file")
              + ": choose another -o, or remove it yourself");
    }
    if (directory) {
      OutputRules.requireReplaceable(path, baseName, others(source));
    }
  }

  private static Set<String> others(PlanSource source) {
    return source.directory().map(ModelDirectory.Model::others).orElse(List.of()).stream()
        .map(file -> String.valueOf(file.getFileName()))
        .collect(Collectors.toSet());
  }

  private static List<Path> inputs(PlanSource source) {
    List<Path> inputs = new ArrayList<>();
    inputs.add(source.path());
    source.files().forEach(file -> inputs.add(file.path()));
    source.config().ifPresent(config -> inputs.add(config.path()));
    return inputs;
  }
}
