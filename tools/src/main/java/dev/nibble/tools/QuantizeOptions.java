package dev.nibble.tools;

import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.ConversionRequest.OutputForm;
import dev.nibble.converter.PipelineRequest;
import dev.nibble.formats.DType;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.tools.report.ByteSize;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/// The options of `quantize` that say what to convert and how, and the request they make.
@Command
final class QuantizeOptions {
  /// How files of weights end that others write.
  private static final List<String> FOREIGN = List.of(".ckpt", ".pt", ".pth", ".bin", ".onnx");

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec(Target.MIXEE)
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description =
          "A .safetensors or .gguf file, a model or pipeline directory, or a"
              + " .safetensors.index.json.")
  private Path model;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private SchemeOptions schemes;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CalibrationOptions calibration;

  @Option(
      names = "--skip",
      order = 10,
      paramLabel = "P[,P...]",
      description = "Keep modules as they are: a name, path component (img_mod), prefix or glob.")
  private List<String> skip = List.of();

  @Option(
      names = "--only",
      order = 11,
      paramLabel = "P[,P...]",
      description = "Quantize these modules only.")
  private List<String> only = List.of();

  @Option(
      names = "--keep-sensitive",
      order = 12,
      description = "Also keep the layers that the model's family lists as losing most.")
  private boolean keepSensitive;

  @Option(
      names = "--family",
      order = 13,
      paramLabel = "F",
      description = "The model's family, where its tensor names do not tell.")
  private Optional<String> family = Optional.empty();

  @Option(
      names = "--names",
      order = 13,
      paramLabel = "N",
      description =
          "The names of the output's tensors: diffusers, or original as single files have them."
              + " Default: what the form of the output needs, else those of the source. Without a"
              + " scheme only the names change.")
  private Optional<String> names = Optional.empty();

  @Option(
      names = "--config",
      order = 14,
      paramLabel = "FILE",
      description = "The model's config.json, where it does not lie beside the file.")
  private Optional<Path> config = Optional.empty();

  @Option(names = "--force", order = 21, description = "Replace an output that exists.")
  private boolean force;

  @Option(
      names = "--dtype",
      order = 22,
      paramLabel = "bf16",
      description = "Cast float tensors that are kept to this type.")
  private Optional<String> dtype = Optional.empty();

  @Option(
      names = "--compute-dtype",
      order = 23,
      paramLabel = "D",
      description = "What loaders compute in, for the config: bf16, f16 or f32.")
  private Optional<String> computeDtype = Optional.empty();

  @Option(
      names = "--max-shard-size",
      order = 24,
      paramLabel = "SIZE",
      description = "Largest file of a directory (default 10GB).")
  private ByteSize maxShardSize = new ByteSize(ConversionRequest.DEFAULT_SHARD_BYTES);

  @Option(
      names = "--allow-non-finite",
      order = 25,
      description = "Quantize weights that hold NaN or infinity.")
  private boolean allowNonFinite;

  @Option(
      names = "--allow-requantize",
      order = 25,
      description = "Decode a source that is quantized already, and quantize it anew.")
  private boolean allowRequantize;

  @Option(
      names = "--hash-source",
      order = 26,
      description = "Put the SHA-256 of the whole source into the provenance.")
  private boolean hashSource;

  @SuppressWarnings("NullAway.Init") // given by its default
  @Mixin
  private MachineOptions machine;

  /// The requests that the options describe, one for each output.
  ///
  /// @param dryRun whether nothing will be written, so that an output that exists is in no danger
  /// @throws ParameterException if they contradict each other
  List<PipelineRequest> requests(boolean dryRun) {
    return schemes.wishes(model, names.isEmpty()).stream()
        .map(wish -> request(wish, dryRun))
        .toList();
  }

  private PipelineRequest request(OutputWish wish, boolean dryRun) {
    ConversionRequest.Builder builder =
        ConversionRequest.builder(model)
            .schemes(wish.rules())
            .skip(patterns("--skip", skip))
            .only(patterns("--only", only))
            .keepSensitive(keepSensitive)
            .force(force || dryRun)
            .allowNonFinite(allowNonFinite)
            .allowRequantize(allowRequantize)
            .hashSource(hashSource)
            .maxShardBytes(maxShardSize.bytes())
            .threads(machine.threads(spec))
            .memoryBytes(machine.memoryBytes());
    calibration.calibration().ifPresent(builder::calibration);
    wish.gguf().ifPresent(builder::gguf);
    wish.imatrix().ifPresent(builder::imatrix);
    wish.storage().ifPresent(builder::storage);
    family.ifPresent(id -> builder.family(knownFamily(id)));
    names.ifPresent(name -> builder.names(dialect(name)));
    config.ifPresent(builder::config);
    wish.output().ifPresent(text -> builder.output(outputPath(spec, text)).form(form(text)));
    dtype.ifPresent(name -> builder.keptDtype(floatType(spec, "--dtype", name, "bf16")));
    computeDtype.ifPresent(
        name -> builder.computeDtype(floatType(spec, "--compute-dtype", name, "bf16, f16, f32")));
    return new PipelineRequest(builder.build(), wish.components(), wish.componentStorages());
  }

  /// Whether an output that exists may be replaced.
  boolean isForced() {
    return force;
  }

  private String knownFamily(String id) {
    if (ModelFamilies.byId(id).isPresent()) {
      return id;
    }
    List<String> known = new ArrayList<>();
    ModelFamilies.all().forEach(one -> known.add(one.id()));
    known.add(ModelFamilies.unknown().id());
    throw wrong("--family takes %s, not '%s'".formatted(String.join(", ", known), id));
  }

  private Dialect dialect(String name) {
    for (Dialect dialect : List.of(Dialect.LIBRARY, Dialect.ORIGINAL)) {
      if (dialect.optionName().equals(name)) {
        return dialect;
      }
    }
    throw wrong("--names takes diffusers or original, not '%s'".formatted(name));
  }

  /// The path of an output that nibble can write.
  static Path outputPath(CommandSpec spec, String output) {
    if (output.isBlank()) {
      throw new ParameterException(
          spec.commandLine(), "--output takes X.safetensors or DIR/, not an empty text");
    }
    String lower = output.toLowerCase(java.util.Locale.ROOT);
    if (FOREIGN.stream().anyMatch(lower::endsWith) && !Files.isDirectory(Path.of(output))) {
      throw new ParameterException(
          spec.commandLine(),
          "--output %s: only .safetensors and .gguf files and directories are written: name"
                  .formatted(output)
              + " X.safetensors, X.gguf or DIR/");
    }
    return Path.of(output);
  }

  /// The form that the spelling of an output asks for.
  static OutputForm form(String output) {
    if (output.endsWith(".safetensors") || output.endsWith(".gguf")) {
      return OutputForm.FILE;
    }
    return output.endsWith("/") || Files.isDirectory(Path.of(output))
        ? OutputForm.DIRECTORY
        : OutputForm.AUTO;
  }

  /// A float type by the name people use.
  ///
  /// @param allowed the names to accept, separated by commas
  static DType floatType(CommandSpec spec, String option, String name, String allowed) {
    String lower = name.toLowerCase(java.util.Locale.ROOT);
    if (List.of(allowed.split(", ")).contains(lower)) {
      return DType.named(lower.toUpperCase(java.util.Locale.ROOT)).orElseThrow();
    }
    throw new ParameterException(
        spec.commandLine(), "%s takes %s, not '%s'".formatted(option, allowed, name));
  }

  /// The patterns of an option that takes several, separated by commas.
  private List<String> patterns(String option, List<String> values) {
    return values.stream()
        .flatMap(value -> Arrays.stream(value.split(",", -1)))
        .map(part -> pattern(option, part))
        .toList();
  }

  private String pattern(String option, String text) {
    if (text.isBlank()) {
      throw wrong(option + " takes a module pattern, not an empty text");
    }
    return text.strip();
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
