package dev.nibble.tools;

import dev.nibble.converter.MemoryBudget;
import dev.nibble.converter.Verifier;
import dev.nibble.converter.VerifyReport;
import dev.nibble.formats.quant.QuantError;
import dev.nibble.tools.report.VerifyPrinter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// `nibble verify`: how far one checkpoint lies from another, and whether that is near enough.
@Command(
    name = "verify",
    description = {
      "Compares two checkpoints tensor by tensor, quantized weights decoded.",
      "Ends with 1 if names or shapes differ, or the gate is not met."
    },
    sortOptions = false,
    footer = {"", "Example:", "  nibble verify model.safetensors model-nf4/ --min-snr 18"})
final class VerifyCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(
      index = "0",
      paramLabel = "A",
      description = "The original: errors are relative to it.")
  private Path first;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(index = "1", paramLabel = "B", description = "What is judged.")
  private Path second;

  @ArgGroup(exclusive = true)
  private Gate gate = new Gate();

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private MachineOptions machine;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  VerifyCommand(Session session) {
    this.session = session;
  }

  /// What must hold for every tensor.
  static final class Gate {
    @Option(names = "--bit-exact", description = "Every tensor must be stored with equal bytes.")
    private boolean bitExact;

    @Option(
        names = "--max-rel-error",
        paramLabel = "X",
        description = "No tensor's relative error (norm of the difference over norm) may exceed X.")
    private Optional<Double> maxRelativeError = Optional.empty();

    @Option(
        names = "--min-snr",
        paramLabel = "DB",
        description = "Every tensor's signal to noise ratio must reach DB.")
    private Optional<Double> minSnr = Optional.empty();

    /// Refuses limits that nothing could meet. Written so that NaN is one.
    void requireSense(CommandSpec spec) {
      maxRelativeError
          .filter(limit -> !(limit >= 0))
          .ifPresent(limit -> {
            throw new ParameterException(
                spec.commandLine(), "--max-rel-error takes a number from 0, not " + limit);
          });
      minSnr
          .filter(limit -> limit.isNaN())
          .ifPresent(limit -> {
            throw new ParameterException(
                spec.commandLine(), "--min-snr takes a number of decibels, not " + limit);
          });
    }

    /// Whether one tensor passes. Written so that NaN does not.
    boolean passes(VerifyReport.Tensor tensor) {
      QuantError error = tensor.error();
      return (!bitExact || tensor.identical())
          && maxRelativeError.map(limit -> error.relative() <= limit).orElse(true)
          && minSnr.map(limit -> error.snrDb() >= limit).orElse(true);
    }

    @Override
    public String toString() {
      if (bitExact) {
        return "--bit-exact";
      }
      return maxRelativeError
          .map(limit -> "--max-rel-error " + limit)
          .or(() -> minSnr.map(limit -> "--min-snr " + limit))
          .orElse("");
    }
  }

  @Override
  public Integer call() throws IOException {
    gate.requireSense(spec);
    MemoryBudget budget = new MemoryBudget(machine.memoryBytes(), machine.threads(spec));
    VerifyReport report;
    try (ProgressBar bar = new ProgressBar(session, false)) {
      report =
          new Verifier().compare(first, second, budget, bar, session.interruption().conversion());
    }
    long failed = report.tensors().stream().filter(tensor -> !gate.passes(tensor)).count();
    boolean passed = failed == 0 && report.sameTensors();
    VerifyPrinter printer = new VerifyPrinter(report);
    if (common.json) {
      printer.json(passed).print(session.out());
    } else {
      printer.print(session.out(), session.outStyle());
    }
    if (!passed) {
      ErrorRenderer.printLine(session, reason(report, failed));
    }
    return passed ? 0 : ErrorRenderer.FAILED;
  }

  private String reason(VerifyReport report, long failed) {
    if (failed > 0) {
      return "%d of %d tensors do not meet %s".formatted(failed, report.tensors().size(), gate);
    }
    return "the checkpoints differ: %d tensors only in %s, %d only in %s, %d of other shape"
        .formatted(
            report.onlyFirst().size(),
            first,
            report.onlySecond().size(),
            second,
            report.reshaped().size());
  }
}
