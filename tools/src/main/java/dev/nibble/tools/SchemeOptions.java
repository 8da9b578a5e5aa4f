package dev.nibble.tools;

import dev.nibble.converter.GgufMix;
import dev.nibble.converter.SchemeRule;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.FourBitType;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/// The options that belong to one output: its schemes and its place. With several `-o`, each one
/// takes the scheme options before it, back to the `-o` before.
@Command
@SuppressWarnings("UnusedVariable") // flags are read from the parse result, which knows their order
final class SchemeOptions {
  private static final String OUTPUT = "--output";
  private static final int DEFAULT_BLOCK_SIZE = 64;
  private static final String KEEP = "keep";

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec(Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--nf4",
      arity = "0",
      order = 1,
      description = "NormalFloat4, as bitsandbytes stores it.")
  private boolean[] nf4 = {};

  @Option(
      names = "--fp4",
      arity = "0",
      order = 2,
      description = "4-bit float, as bitsandbytes stores it.")
  private boolean[] fp4 = {};

  @Option(
      names = "--int8",
      arity = "0",
      order = 3,
      description = "LLM.int8, as bitsandbytes stores it.")
  private boolean[] int8 = {};

  @Option(
      names = "--gguf",
      order = 4,
      paramLabel = "MIX",
      description =
          "A GGUF file, with the types that ComfyUI-GGUF's tools give each weight: Q8_0, Q6_K,"
              + " Q5_K_M, Q4_K_M, Q4_K_S, Q3_K_M, ...; F32, F16, BF16 quantize nothing.")
  private List<String> gguf = List.of();

  @Option(
      names = "--imatrix",
      order = 4,
      paramLabel = "FILE",
      description = "llama.cpp's importance matrix, for --gguf: as GGUF or .dat.")
  private List<Path> imatrix = List.of();

  @Option(
      names = "--scheme",
      order = 4,
      paramLabel = "[GLOB=]SCHEME",
      description =
          "Any scheme: nf4, fp4, int8, absmax8[:B], affine8[:B], bnb8-dynamic[:B], gguf:TYPE. With"
              + " GLOB= only for the modules it matches; the last match wins.")
  private List<String> schemes = List.of();

  @Option(
      names = "--component",
      order = 4,
      paramLabel = "NAME=SCHEME",
      description =
          "The scheme of a pipeline's component, or keep. Without it, transformers, UNets and text"
              + " encoders have the scheme for all, and other components are kept.")
  private List<String> components = List.of();

  @Option(
      names = "--block-size",
      order = 5,
      paramLabel = "N",
      description = "Block size of --nf4 and --fp4: a power of two, 32 to 4096 (default 64).")
  private List<Integer> blockSize = List.of();

  @Option(
      names = "--no-double-quant",
      arity = "0",
      order = 6,
      description = "Leave the block maxima of --nf4 and --fp4 in float32.")
  private boolean[] noDoubleQuant = {};

  @Option(
      names = {"-o", OUTPUT},
      order = 20,
      paramLabel = "OUT",
      description =
          "X.safetensors or X.gguf for one file, DIR/ for a directory. Default: beside the input. Repeat, each"
              + " after its own scheme, for several outputs of one read.")
  private List<String> output = List.of();

  /// One output.
  ///
  /// @param rules schemes, that for all modules first; empty if there are only components
  /// @param gguf the mix of a GGUF file
  /// @param imatrix its importance matrix
  /// @param components schemes of components by name; empty: keep
  /// @param output as typed
  record Wish(
      List<SchemeRule> rules,
      Optional<GgufMix> gguf,
      Optional<Path> imatrix,
      Map<String, Optional<QuantScheme>> components,
      Optional<String> output) {}

  /// The options of one output as typed, in order.
  private static final class Group {
    private final List<Typed> options = new ArrayList<>();
    private Optional<String> output = Optional.empty();

    List<String> values(String name) {
      return options.stream()
          .filter(option -> option.name().equals(name))
          .map(Typed::value)
          .toList();
    }

    boolean has(String name) {
      return options.stream().anyMatch(option -> option.name().equals(name));
    }
  }

  /// @param value empty for a flag
  private record Typed(String name, String value) {}

  /// What the options ask for, an output each.
  ///
  /// @param needed whether there is nothing to do without a scheme
  /// @throws ParameterException if they contradict each other
  List<Wish> wishes(Path model, boolean needed) {
    List<Group> groups = groups();
    List<Wish> wishes = new ArrayList<>();
    for (Group group : groups) {
      if (group.options.isEmpty() && groups.size() > 1) {
        throw wrong(
            "-o %s has no scheme: each of several outputs follows its own, as in --nf4 -o a --int8 -o b"
                .formatted(group.output.orElse("")));
      }
      wishes.add(wish(group, model, needed));
    }
    return wishes;
  }

  private List<Group> groups() {
    Map<String, Integer> seen = new HashMap<>();
    List<Group> groups = new ArrayList<>();
    Group group = new Group();
    for (OptionSpec option : spec.commandLine().getParseResult().matchedOptions()) {
      String name = option.longestName();
      int count = seen.merge(name, 1, Integer::sum);
      switch (name) {
        case "--nf4", "--fp4", "--int8", "--no-double-quant" ->
            group.options.add(new Typed(name, ""));
        case "--gguf" -> group.options.add(new Typed(name, gguf.get(count - 1)));
        case "--imatrix" -> group.options.add(new Typed(name, imatrix.get(count - 1).toString()));
        case "--scheme" -> group.options.add(new Typed(name, schemes.get(count - 1)));
        case "--component" -> group.options.add(new Typed(name, components.get(count - 1)));
        case "--block-size" ->
            group.options.add(new Typed(name, String.valueOf(blockSize.get(count - 1))));
        case OUTPUT -> {
          group.output = Optional.of(output.get(count - 1));
          groups.add(group);
          group = new Group();
        }
        default -> {} // about all outputs
      }
    }
    if (groups.size() == 1) {
      groups.getFirst().options.addAll(group.options);
    } else if (groups.isEmpty()) {
      groups.add(group);
    } else if (!group.options.isEmpty()) {
      throw wrong(
          "%s comes after the last -o: each of several outputs follows its own scheme, as in --nf4 -o a --int8 -o b"
              .formatted(group.options.getFirst().name()));
    }
    return groups;
  }

  private Wish wish(Group group, Path model, boolean needed) {
    List<SchemeRule> rules = new ArrayList<>();
    Optional<QuantScheme> base = Optional.empty();
    for (QuantScheme scheme : flags(group)) {
      requireNone(base, scheme.id());
      base = Optional.of(scheme);
    }
    for (String text : group.values("--scheme")) {
      int equals = text.lastIndexOf('=');
      QuantScheme scheme = parse("--scheme", text.substring(equals + 1));
      if (equals < 0) {
        requireNone(base, text);
        base = Optional.of(scheme);
      } else {
        rules.add(new SchemeRule(pattern(text.substring(0, equals)), scheme));
      }
    }
    Optional<GgufMix> mix = mix(group, base);
    base.ifPresent(scheme -> rules.addFirst(new SchemeRule("*", scheme)));
    Map<String, Optional<QuantScheme>> parts = components(group);
    if (needed
        && rules.isEmpty()
        && mix.isEmpty()
        && parts.values().stream().noneMatch(Optional::isPresent)) {
      throw wrong(
          ("say which scheme: --nf4, --fp4, --int8, --gguf Q4_K_M or another mix, or --scheme with absmax8[:B], affine8[:B] or"
                  + " bnb8-dynamic[:B]; for example: quantize %s --nf4")
              .formatted(model));
    }
    return new Wish(rules, mix, matrix(group, mix, rules), parts, group.output);
  }

  private Optional<GgufMix> mix(Group group, Optional<QuantScheme> base) {
    List<String> mixes = group.values("--gguf");
    if (mixes.isEmpty()) {
      return Optional.empty();
    }
    String name = mixes.getFirst();
    if (base.isPresent() || mixes.size() > 1) {
      throw wrong(
          "two schemes for every layer, %s and --gguf %s: leave one of them out, or give each its own -o"
              .formatted(base.map(QuantScheme::id).orElse("--gguf " + mixes.getLast()), name));
    }
    return Optional.of(
        GgufMix.named(name)
            .orElseThrow(
                () -> wrong("--gguf takes %s, not '%s'".formatted(GgufMix.names(), name))));
  }

  private Optional<Path> matrix(Group group, Optional<GgufMix> mix, List<SchemeRule> rules) {
    Optional<Path> matrix = group.values("--imatrix").stream().findFirst().map(Path::of);
    boolean quantizes =
        mix.filter(one -> one.plain().isEmpty()).isPresent()
            || rules.stream().anyMatch(rule -> rule.scheme() instanceof GgmlBlock);
    if (matrix.isPresent() && !quantizes) {
      throw wrong(
          "--imatrix belongs to --gguf with a quantized type, and to gguf:TYPE: leave it out");
    }
    return matrix;
  }

  private Map<String, Optional<QuantScheme>> components(Group group) {
    Map<String, Optional<QuantScheme>> parts = new LinkedHashMap<>();
    for (String text : group.values("--component")) {
      int equals = text.indexOf('=');
      if (equals < 1 || equals == text.length() - 1) {
        throw wrong("--component takes NAME=SCHEME or NAME=keep, not '%s'".formatted(text));
      }
      String name = text.substring(0, equals).strip();
      String scheme = text.substring(equals + 1).strip();
      Optional<QuantScheme> parsed =
          scheme.equals(KEEP) ? Optional.empty() : Optional.of(parse("--component", scheme));
      if (parts.put(name, parsed) != null) {
        throw wrong("--component names '%s' twice".formatted(name));
      }
    }
    return parts;
  }

  private String pattern(String text) {
    if (text.isBlank()) {
      throw wrong("--scheme takes a module pattern, not an empty text");
    }
    return text.strip();
  }

  private List<QuantScheme> flags(Group group) {
    List<QuantScheme> flags = new ArrayList<>();
    List<String> sizes = group.values("--block-size");
    if (sizes.size() > 1) {
      throw wrong("--block-size is given twice");
    }
    int size = sizes.isEmpty() ? DEFAULT_BLOCK_SIZE : Integer.parseInt(sizes.getFirst());
    if (Integer.bitCount(size) != 1 || size < 32 || size > 4096) {
      throw wrong("--block-size takes a power of two from 32 to 4096, not " + size);
    }
    boolean doubleQuant = !group.has("--no-double-quant");
    for (Typed option : group.options) {
      switch (option.name()) {
        case "--nf4" -> flags.add(new FourBit(FourBitType.NF4, size, doubleQuant));
        case "--fp4" -> flags.add(new FourBit(FourBitType.FP4, size, doubleQuant));
        default -> {} // not 4-bit
      }
    }
    if (flags.isEmpty() && (!sizes.isEmpty() || !doubleQuant)) {
      throw wrong(
          "--block-size and --no-double-quant belong to --nf4 and --fp4; the other schemes take"
              + " their block size as in --scheme absmax8:128");
    }
    group.values("--int8").forEach(_ -> flags.add(new LlmInt8()));
    return flags;
  }

  private void requireNone(Optional<QuantScheme> base, String second) {
    if (base.isPresent()) {
      throw wrong(
          ("two schemes for every layer, %s and %s: name the layers of the second one, as in"
                  + " --scheme 'GLOB=%s', or give each its own -o")
              .formatted(base.get().id(), second, second));
    }
  }

  private QuantScheme parse(String option, String text) {
    try {
      return QuantSchemes.parse(text);
    } catch (IllegalArgumentException e) {
      String lower = text.toLowerCase(Locale.ROOT);
      if (!lower.equals(text) && isScheme(lower)) {
        throw wrong("%s %s: unknown scheme: did you mean %s?".formatted(option, text, lower));
      }
      throw new ParameterException(spec.commandLine(), option + " " + text + ": " + e.getMessage());
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
