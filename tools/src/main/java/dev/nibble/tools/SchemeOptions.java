package dev.nibble.tools;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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
          "Any scheme: nf4, fp4, int8, absmax8[:B], affine8[:B], bnb8-dynamic[:B], int4[:gN][:asym],"
              + " int8:gN[:asym], fp8[:row|:plain], fp8-e5m2, gguf:TYPE. With GLOB= only for the"
              + " modules it matches; the last match wins.")
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
      names = "--format",
      order = 4,
      paramLabel = "[NAME=]F",
      description =
          "How weights are stored, where a scheme has several ways: gptq, gptq_v2, awq,"
              + " compressed-tensors, comfyui, comfyui-header, scaled-fp8, nibble. With NAME= only"
              + " for that component of a pipeline.")
  private List<String> formats = List.of();

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

  /// What the options ask for, an output each.
  ///
  /// @param needed whether there is nothing to do without a scheme
  /// @throws ParameterException if they contradict each other
  List<OutputWish> wishes(Path model, boolean needed) {
    List<TypedOptions> groups = groups();
    OutputParser parser = new OutputParser(spec);
    List<OutputWish> wishes = new ArrayList<>();
    for (TypedOptions group : groups) {
      if (group.isEmpty() && groups.size() > 1) {
        throw wrong(
            "-o %s has no scheme: each of several outputs follows its own, as in --nf4 -o a --int8 -o b"
                .formatted(group.output().orElse("")));
      }
      wishes.add(parser.wish(group, model, needed));
    }
    return wishes;
  }

  private List<TypedOptions> groups() {
    Map<String, Integer> seen = new HashMap<>();
    List<TypedOptions> groups = new ArrayList<>();
    TypedOptions group = new TypedOptions();
    for (OptionSpec option : spec.commandLine().getParseResult().matchedOptions()) {
      String name = option.longestName();
      int count = seen.merge(name, 1, Integer::sum);
      switch (name) {
        case "--nf4", "--fp4", "--int8", "--no-double-quant" -> group.add(name, "");
        case "--gguf" -> group.add(name, gguf.get(count - 1));
        case "--imatrix" -> group.add(name, imatrix.get(count - 1).toString());
        case "--scheme" -> group.add(name, schemes.get(count - 1));
        case "--component" -> group.add(name, components.get(count - 1));
        case "--format" -> group.add(name, formats.get(count - 1));
        case "--block-size" -> group.add(name, String.valueOf(blockSize.get(count - 1)));
        case OUTPUT -> {
          group.setOutput(output.get(count - 1));
          groups.add(group);
          group = new TypedOptions();
        }
        default -> {} // about all outputs
      }
    }
    if (groups.size() == 1) {
      groups.getFirst().addAll(group);
    } else if (groups.isEmpty()) {
      groups.add(group);
    } else if (!group.isEmpty()) {
      throw wrong(
          "%s comes after the last -o: each of several outputs follows its own scheme, as in --nf4 -o a --int8 -o b"
              .formatted(group.first()));
    }
    return groups;
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
