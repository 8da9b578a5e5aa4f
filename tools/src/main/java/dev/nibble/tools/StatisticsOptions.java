package dev.nibble.tools;

import dev.nibble.runtime.calibration.CalibrationRecorder;
import dev.nibble.tools.report.ByteSize;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// The options of `calibrate` that only statistics of layers have.
@Command
final class StatisticsOptions {
  private static final List<String> COMPONENTS = List.of("transformer", "text_encoder");
  private static final int SAMPLES = 256;
  private static final int MOST_SAMPLES = 65_536;

  @Option(
      names = "--component",
      order = 9,
      paramLabel = "NAME",
      description =
          "X.safetensors: whose layers to record, transformer (default) or text_encoder (for which"
              + " one step is enough, and the default).")
  private Optional<String> component = Optional.empty();

  @Option(
      names = "--samples",
      order = 10,
      paramLabel = "N",
      description = "X.safetensors: rows of each input to keep as they are (default 256).")
  private Optional<Integer> samples = Optional.empty();

  @Option(
      names = "--no-hessian",
      order = 11,
      description =
          "X.safetensors: leave out the Hessians, which GPTQ needs: smaller and faster by far.")
  private boolean withoutHessian;

  @Option(
      names = "--memory",
      order = 31,
      paramLabel = "SIZE",
      description =
          "X.safetensors: memory for Hessians (default: half of what is free); those that do not"
              + " fit cost another pass over all prompts.")
  private Optional<ByteSize> memory = Optional.empty();

  @Option(
      names = "--restart",
      order = 25,
      description = "X.safetensors: drop what an interrupted run has kept.")
  private boolean restart;

  /// @param records whether statistics are what is written
  void requireSense(CommandSpec spec, boolean records) {
    require(
        spec,
        records
            || (component.isEmpty()
                && samples.isEmpty()
                && memory.isEmpty()
                && !withoutHessian
                && !restart),
        "--component, --samples, --no-hessian, --memory and --restart belong to -o X.safetensors:"
            + " name the output so, or leave them out");
    require(
        spec,
        COMPONENTS.contains(component()),
        "--component takes %s, not %s".formatted(String.join(" or ", COMPONENTS), component()));
    int rows = samples.orElse(SAMPLES);
    require(
        spec,
        rows >= 0 && rows <= MOST_SAMPLES,
        "--samples takes 0 to %,d, not %,d".formatted(MOST_SAMPLES, rows));
  }

  private static void require(CommandSpec spec, boolean holds, String message) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }

  String component() {
    return component.orElse(COMPONENTS.getFirst());
  }

  boolean restart() {
    return restart;
  }

  CalibrationRecorder recorder() {
    return new CalibrationRecorder(
        component(),
        samples.orElse(SAMPLES),
        !withoutHessian,
        memory.isPresent() ? OptionalLong.of(memory.get().bytes()) : OptionalLong.empty());
  }
}
