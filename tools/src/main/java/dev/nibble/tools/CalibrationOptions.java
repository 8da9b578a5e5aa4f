package dev.nibble.tools;

import dev.nibble.converter.Calibration;
import dev.nibble.converter.algorithm.GptqOptions;
import dev.nibble.formats.quant.SvdQuant;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/// The options of `quantize` that let statistics help, for all outputs of a run.
@Command
final class CalibrationOptions {
  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec(Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--stats",
      order = 7,
      paramLabel = "FILE",
      description = "What nibble calibrate has recorded of the model, for the options below.")
  private Optional<Path> stats = Optional.empty();

  @Option(
      names = "--gptq",
      order = 7,
      description = "Let the codes of a row make up for each other's rounding (GPTQ).")
  private boolean gptq;

  @Option(
      names = "--act-order",
      order = 8,
      description = "With --gptq: the inputs that matter most come first (desc_act).")
  private boolean actOrder;

  @Option(
      names = "--static-groups",
      order = 8,
      description = "With --gptq: scales are those of the weights before any rounding.")
  private boolean staticGroups;

  @Option(
      names = "--damp",
      order = 8,
      paramLabel = "D",
      description = "With --gptq: part of its mean added to the Hessian's diagonal (default 0.01).")
  private Optional<Double> damp = Optional.empty();

  @Option(
      names = "--awq",
      order = 8,
      description = "Scale the inputs that matter up before rounding (AWQ).")
  private boolean awq;

  @Option(
      names = "--svd",
      order = 8,
      arity = "0..1",
      fallbackValue = "32",
      paramLabel = "RANK",
      description =
          "Keep a part of this rank in 16 bits beside each weight (SVDQuant; default 32).")
  private Optional<Integer> rank = Optional.empty();

  /// What the options ask for, if they ask for anything.
  ///
  /// @throws ParameterException if they contradict each other
  Optional<Calibration> calibration() {
    boolean any = gptq || awq || rank.isPresent();
    if (any && stats.isEmpty()) {
      throw wrong(
          "%s needs --stats FILE, which nibble calibrate PIPELINE --prompts FILE -o FILE.safetensors records"
              .formatted(gptq ? "--gptq" : awq ? "--awq" : "--svd"));
    }
    if (!gptq && (actOrder || staticGroups || damp.isPresent())) {
      throw wrong("--act-order, --static-groups and --damp belong to --gptq");
    }
    if (stats.isPresent() && !any) {
      throw wrong("--stats FILE helps --gptq, --awq or --svd: give one of them");
    }
    return any
        ? Optional.of(
            new Calibration(
                stats.orElseThrow(),
                gptq ? Optional.of(gptqOptions()) : Optional.empty(),
                awq,
                rank.isPresent() ? OptionalInt.of(requireRank(rank.get())) : OptionalInt.empty()))
        : Optional.empty();
  }

  private GptqOptions gptqOptions() {
    double damping = damp.orElse(GptqOptions.DEFAULT.damping());
    if (!(damping > 0 && damping <= 1)) {
      throw wrong("--damp takes a number above 0, at most 1, not " + damping);
    }
    return new GptqOptions(damping, actOrder, staticGroups);
  }

  private int requireRank(int wanted) {
    if (wanted < 1 || wanted > SvdQuant.MAX_RANK) {
      throw wrong("--svd takes a rank from 1 to %d, not %d".formatted(SvdQuant.MAX_RANK, wanted));
    }
    return wanted;
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
