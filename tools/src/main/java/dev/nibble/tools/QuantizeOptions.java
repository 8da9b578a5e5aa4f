package dev.nibble.tools;

import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.ConversionRequest.OutputForm;
import dev.nibble.converter.SchemeRule;
import dev.nibble.formats.DType;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.FourBitType;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.QuantStorages;
import dev.nibble.tools.report.ByteSize;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/// The options of `quantize` that say what to convert and how, and the request they make.
@Command
final class QuantizeOptions {
  private static final int DEFAULT_BLOCK_SIZE = 64;

  /// How files of weights end that others write.
  private static final List<String> FOREIGN =
      List.of(".gguf", ".ckpt", ".pt", ".pth", ".bin", ".onnx");

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec(Target.MIXEE)
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description = "A .safetensors file, a model directory, or a .safetensors.index.json.")
  private Path model;

  @Option(names = "--nf4", order = 1, description = "NormalFloat4, as bitsandbytes stores it.")
  private boolean nf4;

  @Option(names = "--fp4", order = 2, description = "4-bit float, as bitsandbytes stores it.")
  private boolean fp4;

  @Option(names = "--int8", order = 3, description = "LLM.int8, as bitsandbytes stores it.")
  private boolean int8;

  @Option(
      names = "--scheme",
      order = 4,
      paramLabel = "[GLOB=]SCHEME",
      description =
          "Any scheme: nf4, fp4, int8, absmax8[:B], affine8[:B], bnb8-dynamic[:B], int4[:gN][:asym],"
              + " int8:gN[:asym], fp8[:row|:plain], fp8-e5m2. With GLOB= only for the modules it"
              + " matches; the last match wins.")
  private List<String> schemes = List.of();

  @Option(
      names = "--format",
      order = 4,
      paramLabel = "F",
      description =
          "How weights are stored, where a scheme has several ways: gptq, gptq_v2, awq,"
              + " compressed-tensors, comfyui, comfyui-header, scaled-fp8, nibble.")
  private Optional<String> format = Optional.empty();

  @Option(
      names = "--block-size",
      order = 5,
      paramLabel = "N",
      description = "Block size of --nf4 and --fp4: a power of two, 32 to 4096 (default 64).")
  private Optional<Integer> blockSize = Optional.empty();

  @Option(
      names = "--no-double-quant",
      order = 6,
      description = "Leave the block maxima of --nf4 and --fp4 in float32.")
  private boolean noDoubleQuant;

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
      names = "--config",
      order = 14,
      paramLabel = "FILE",
      description = "The model's config.json, where it does not lie beside the file.")
  private Optional<Path> config = Optional.empty();

  @Option(
      names = {"-o", "--output"},
      order = 20,
      paramLabel = "OUT",
      description = "X.safetensors for one file, DIR/ for a directory. Default: beside the input.")
  private Optional<String> output = Optional.empty();

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
      names = "--hash-source",
      order = 26,
      description = "Put the SHA-256 of the whole source into the provenance.")
  private boolean hashSource;

  @SuppressWarnings("NullAway.Init") // given by its default
  @picocli.CommandLine.Mixin
  private MachineOptions machine;

  /// The request that the options describe.
  ///
  /// @param dryRun whether nothing will be written, so that an output that exists is in no danger
  /// @throws ParameterException if they contradict each other
  ConversionRequest request(boolean dryRun) {
    ConversionRequest.Builder builder =
        ConversionRequest.builder(model)
            .schemes(rules())
            .skip(patterns("--skip", skip))
            .only(patterns("--only", only))
            .keepSensitive(keepSensitive)
            .force(force || dryRun)
            .allowNonFinite(allowNonFinite)
            .hashSource(hashSource)
            .maxShardBytes(maxShardSize.bytes())
            .threads(machine.threads(spec))
            .memoryBytes(machine.memoryBytes());
    family.ifPresent(id -> builder.family(knownFamily(id)));
    format.ifPresent(name -> builder.storage(storage(name)));
    config.ifPresent(builder::config);
    output.ifPresent(text -> builder.output(outputPath(spec, text)).form(form(text)));
    dtype.ifPresent(name -> builder.keptDtype(floatType(spec, "--dtype", name, "bf16")));
    computeDtype.ifPresent(
        name -> builder.computeDtype(floatType(spec, "--compute-dtype", name, "bf16, f16, f32")));
    return builder.build();
  }

  private QuantStorage storage(String name) {
    return QuantStorages.all().stream()
        .filter(known -> known.id().equals(name))
        .findFirst()
        .orElseThrow(() ->
            wrong(
                "--format takes %s, not '%s'"
                    .formatted(
                        QuantStorages.all().stream()
                            .map(QuantStorage::id)
                            .collect(Collectors.joining(", ")),
                        name)));
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
          "--output %s: only .safetensors files and directories are written: name X.safetensors or"
                  .formatted(output)
              + " DIR/");
    }
    return Path.of(output);
  }

  /// The form that the spelling of an output asks for.
  static OutputForm form(String output) {
    if (output.endsWith(".safetensors")) {
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

  private List<SchemeRule> rules() {
    List<SchemeRule> rules = new ArrayList<>();
    Optional<QuantScheme> base = Optional.empty();
    for (QuantScheme scheme : flags()) {
      requireNone(base, scheme.id());
      base = Optional.of(scheme);
    }
    for (String text : schemes) {
      int equals = text.lastIndexOf('=');
      QuantScheme scheme = parse(text.substring(equals + 1));
      if (equals < 0) {
        requireNone(base, text);
        base = Optional.of(scheme);
      } else {
        rules.add(new SchemeRule(pattern("--scheme", text.substring(0, equals)), scheme));
      }
    }
    base.ifPresent(scheme -> rules.addFirst(new SchemeRule("*", scheme)));
    if (rules.isEmpty()) {
      throw wrong(
          ("say which scheme: --nf4, --fp4, --int8, or --scheme with absmax8[:B], affine8[:B],"
                  + " bnb8-dynamic[:B], int4[:gN] or fp8; for example: quantize %s --nf4")
              .formatted(model));
    }
    return rules;
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

  private List<QuantScheme> flags() {
    List<QuantScheme> flags = new ArrayList<>();
    int size = blockSize.orElse(DEFAULT_BLOCK_SIZE);
    if (Integer.bitCount(size) != 1 || size < 32 || size > 4096) {
      throw wrong("--block-size takes a power of two from 32 to 4096, not " + size);
    }
    if (nf4) {
      flags.add(new FourBit(FourBitType.NF4, size, !noDoubleQuant));
    }
    if (fp4) {
      flags.add(new FourBit(FourBitType.FP4, size, !noDoubleQuant));
    }
    if (flags.isEmpty() && (blockSize.isPresent() || noDoubleQuant)) {
      throw wrong(
          "--block-size and --no-double-quant belong to --nf4 and --fp4; the other schemes take"
              + " their block size as in --scheme absmax8:128");
    }
    if (int8) {
      flags.add(new LlmInt8());
    }
    return flags;
  }

  private void requireNone(Optional<QuantScheme> base, String second) {
    if (base.isPresent()) {
      throw wrong(
          ("two schemes for every layer, %s and %s: name the layers of the second one, as in"
                  + " --scheme 'GLOB=%s'")
              .formatted(base.get().id(), second, second));
    }
  }

  private QuantScheme parse(String text) {
    try {
      return QuantSchemes.parse(text);
    } catch (IllegalArgumentException e) {
      String lower = text.toLowerCase(java.util.Locale.ROOT);
      if (!lower.equals(text) && isScheme(lower)) {
        throw wrong("--scheme %s: unknown scheme: did you mean %s?".formatted(text, lower));
      }
      throw new ParameterException(spec.commandLine(), "--scheme " + text + ": " + e.getMessage());
    }
  }

  private static boolean isScheme(String text) {
    try {
      QuantSchemes.parse(text);
      return true;
    } catch (IllegalArgumentException _) {
      return false;
    }
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
