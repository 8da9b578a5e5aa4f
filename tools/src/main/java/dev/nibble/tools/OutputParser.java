package dev.nibble.tools;

import dev.nibble.converter.GgufMix;
import dev.nibble.converter.SchemeRule;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.FourBitType;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.QuantStorages;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/// Reads what the options of one output mean.
final class OutputParser {
  private static final int DEFAULT_BLOCK_SIZE = 64;
  private static final String KEEP = "keep";

  /// No component is called so.
  private static final String ALL = "";

  private final CommandSpec spec;

  OutputParser(CommandSpec spec) {
    this.spec = spec;
  }

  /// What one output's options ask for.
  ///
  /// @param needed whether there is nothing to do without a scheme
  /// @throws ParameterException if they contradict each other
  OutputWish wish(TypedOptions group, Path model, boolean needed) {
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
          ("say which scheme: --nf4, --fp4, --int8, --gguf Q4_K_M or another mix, or --scheme with"
                  + " absmax8[:B], affine8[:B], bnb8-dynamic[:B], int4[:gN] or fp8; for example:"
                  + " quantize %s --nf4")
              .formatted(model));
    }
    Map<String, QuantStorage> storages = storages(group);
    requireStored(storages, rules, mix, parts);
    Optional<QuantStorage> storage = Optional.ofNullable(storages.remove(ALL));
    return new OutputWish(
        rules, storage, mix, matrix(group, mix, rules), parts, storages, group.output());
  }

  private Optional<GgufMix> mix(TypedOptions group, Optional<QuantScheme> base) {
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

  private Optional<Path> matrix(TypedOptions group, Optional<GgufMix> mix, List<SchemeRule> rules) {
    Optional<Path> matrix = group.values("--imatrix").stream().findFirst().map(Path::of);
    boolean quantizes = mix.filter(one -> one.plain().isEmpty()).isPresent() || ggml(rules);
    if (matrix.isPresent() && !quantizes) {
      throw wrong(
          "--imatrix belongs to --gguf with a quantized type, and to gguf:TYPE: leave it out");
    }
    return matrix;
  }

  private Map<String, Optional<QuantScheme>> components(TypedOptions group) {
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

  /// How weights are stored, by component; under {@link #ALL} those of all others.
  private Map<String, QuantStorage> storages(TypedOptions group) {
    Map<String, QuantStorage> storages = new LinkedHashMap<>();
    for (String text : group.values("--format")) {
      int equals = text.indexOf('=');
      String name = equals < 0 ? ALL : text.substring(0, equals).strip();
      if (equals == 0 || (equals > 0 && name.isEmpty())) {
        throw wrong("--format takes F or NAME=F, not '%s'".formatted(text));
      }
      if (storages.put(name, storage(text.substring(equals + 1).strip())) != null) {
        throw wrong(
            "--format is given twice%s"
                .formatted(name.equals(ALL) ? "" : " for '%s'".formatted(name)));
      }
    }
    return storages;
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

  private void requireStored(
      Map<String, QuantStorage> storages,
      List<SchemeRule> rules,
      Optional<GgufMix> mix,
      Map<String, Optional<QuantScheme>> parts) {
    if (storages.isEmpty()) {
      return;
    }
    if (mix.isPresent() || ggml(rules)) {
      throw wrong(
          "--format is about safetensors files, and --gguf and the schemes gguf:TYPE make a GGUF"
              + " file: leave one of them out");
    }
    if (rules.isEmpty() && parts.values().stream().noneMatch(Optional::isPresent)) {
      throw wrong("--format says how quantized weights are stored: give a scheme, or leave it out");
    }
  }

  private static boolean ggml(List<SchemeRule> rules) {
    return rules.stream().anyMatch(rule -> rule.scheme() instanceof GgmlBlock);
  }

  private String pattern(String text) {
    if (text.isBlank()) {
      throw wrong("--scheme takes a module pattern, not an empty text");
    }
    return text.strip();
  }

  private List<QuantScheme> flags(TypedOptions group) {
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
    for (String option : group.names()) {
      switch (option) {
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
