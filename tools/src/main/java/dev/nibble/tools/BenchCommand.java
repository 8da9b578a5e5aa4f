package dev.nibble.tools;

import dev.nibble.runtime.ComputeDevice;
import dev.nibble.runtime.bench.Ceilings;
import dev.nibble.runtime.bench.DeviceBenchmark;
import dev.nibble.runtime.bench.Measurement;
import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.cuda.CudaOptions;
import dev.nibble.tools.report.BenchPrinter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// `nibble bench`: how fast a GPU is, and how much of it nibble uses.
@Command(
    name = "bench",
    description = {
      "Times a GPU's operations, and a denoising step of Z-Image with random weights.",
      "Each is given as a share of what the device does at best in the same run: its own",
      "copy, or cuBLASLt's bfloat16 product of 8192x8192 matrices where it is installed."
    },
    sortOptions = false,
    footer = {
      "",
      "Examples:",
      "  nibble bench --device cuda",
      "  nibble bench --device cuda --only 'linear nf4' --python ~/venv/bin/python"
    })
final class BenchCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Option(
      names = "--device",
      order = 1,
      required = true,
      paramLabel = "D",
      description = "cuda or cuda:N.")
  private ComputeDevice device;

  @Option(
      names = "--only",
      order = 2,
      paramLabel = "TEXT",
      description = "Time what has this in its name only, such as 'decode' or 'step'.")
  private String only = "";

  @Option(
      names = "--python",
      order = 3,
      paramLabel = "PATH",
      description =
          "A Python whose torch, and bitsandbytes if it has it, are timed on the same device.")
  private Optional<Path> python = Optional.empty();

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  BenchCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws IOException {
    if (!(device instanceof ComputeDevice.Cuda(int ordinal))) {
      throw new ParameterException(
          spec.commandLine(), "--device %s: only cuda devices are timed".formatted(device));
    }
    List<Measurement> measured = new ArrayList<>();
    String description;
    Ceilings ceilings;
    try (StatusLine status = new StatusLine(session, common.json);
        CudaBackend backend = CudaBackend.open(ordinal, CudaOptions.DEFAULT)) {
      description = backend.description();
      ceilings =
          new DeviceBenchmark(
                  backend,
                  op -> op.contains(only),
                  measurement -> {
                    measured.add(measurement);
                    status.show(measurement.op());
                  },
                  () -> session.interruption().generation().isCancelled())
              .run();
    }
    if (session.interruption().generation().isCancelled()) {
      return ErrorRenderer.INTERRUPTED;
    }
    List<Rivals.Time> rivals =
        python.isPresent() ? Rivals.measure(python.get(), ordinal, measured) : List.of();
    BenchPrinter printer = new BenchPrinter(description, ceilings, measured, Rivals.table(rivals));
    if (common.json) {
      printer.json(session.out());
    } else {
      printer.print(session.out());
    }
    return 0;
  }
}
