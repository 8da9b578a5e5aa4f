package dev.nibble.tools;

import dev.nibble.converter.Calibration;
import dev.nibble.converter.Calibration.Scales;
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
      negatable = true,
      description =
          "With --gptq: the inputs that matter most come first (default), or each in its place.")
  private Optional<Boolean> actOrder = Optional.empty();

  @Option(
      names = "--static-groups",
      order = 8,
      negatable = true,
      description =
          "With --gptq: scales fit the weights as they are (default), or what compensation makes of"
              + " them.")
  private Optional<Boolean> staticGroups = Optional.empty();

  @Option(
      names = "--search-scales",
      order = 8,
      negatable = true,
      description =
          "With --gptq: scales where rounding loses least (default), or by the largest weights.")
  private Optional<Boolean> searchScales = Optional.empty();

  @Option(
      names = "--damp",
      order = 8,
      paramLabel = "D",
      description = "With --gptq: part of its mean added to the Hessian's diagonal (default 0.1).")
  private Optional<Double> damp = Optional.empty();

  @Option(
      names = "--awq",
      order = 8,
      description = "Scale the inputs that matter up before rounding (AWQ).")
  private boolean awq;

  @Option(
      names = "--smooth",
      order = 8,
      description =
          "Move what is large from inputs into weights (SmoothQuant), as --w8a8 and --svd like it.")
  private boolean smooth;

  @Option(
      names = "--w8a8",
      order = 8,
      description =
          "With absmax8 or fp8:row: loaders round inputs to 8 bits too, token by token; layers that"
              + " do not bear it stay as they are.")
  private boolean eightBitInputs;

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
    boolean any = gptq || awq || smooth || eightBitInputs || rank.isPresent();
    if (any && stats.isEmpty()) {
      throw wrong(
          "%s needs --stats FILE, which nibble calibrate PIPELINE --prompts FILE -o FILE.safetensors records"
              .formatted(first()));
    }
    boolean detail = actOrder.isPresent() || staticGroups.isPresent() || searchScales.isPresent();
    if (!gptq && (detail || damp.isPresent())) {
      throw wrong(
          "--damp, --[no-]act-order, --[no-]static-groups and --[no-]search-scales belong to --gptq");
    }
    if (eightBitInputs && rank.isPresent()) {
      throw wrong("--w8a8 is told by compressed-tensors, which has no branch: leave out --svd");
    }
    if (stats.isPresent() && !any) {
      throw wrong("--stats FILE helps --gptq, --awq, --smooth, --svd or --w8a8: give one of them");
    }
    return any
        ? Optional.of(
            new Calibration(
                stats.orElseThrow(),
                gptq ? Optional.of(gptqOptions()) : Optional.empty(),
                scales(),
                rank.isPresent() ? OptionalInt.of(requireRank(rank.get())) : OptionalInt.empty(),
                eightBitInputs))
        : Optional.empty();
  }

  /// The first of the options that need statistics.
  private String first() {
    if (gptq) {
      return "--gptq";
    }
    if (rank.isPresent()) {
      return "--svd";
    }
    return awq ? "--awq" : smooth ? "--smooth" : "--w8a8";
  }

  private Optional<Scales> scales() {
    if (awq && smooth) {
      throw wrong("--awq and --smooth both scale inputs: give one of them");
    }
    return awq ? Optional.of(Scales.AWQ) : smooth ? Optional.of(Scales.SMOOTH) : Optional.empty();
  }

  private GptqOptions gptqOptions() {
    GptqOptions usual = GptqOptions.RECOMMENDED;
    double damping = damp.orElse(usual.damping());
    if (!(damping > 0 && damping <= 1)) {
      throw wrong("--damp takes a number above 0, at most 1, not " + damping);
    }
    return new GptqOptions(
        damping,
        actOrder.orElse(usual.actOrder()),
        staticGroups.orElse(usual.staticGroups()),
        searchScales.orElse(usual.searchScales()));
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
