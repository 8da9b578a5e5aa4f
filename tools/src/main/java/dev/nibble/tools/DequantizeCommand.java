package dev.nibble.tools;

import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.ConversionRequest.OutputForm;
import dev.nibble.converter.DequantizeReport;
import dev.nibble.converter.DequantizeRequest;
import dev.nibble.converter.Dequantizer;
import dev.nibble.formats.DType;
import dev.nibble.tools.report.ByteSize;
import dev.nibble.tools.report.DequantizePrinter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// `nibble dequantize`: a quantized checkpoint as a plain one.
@Command(
    name = "dequantize",
    description = "Turns a quantized checkpoint into a plain one.",
    sortOptions = false,
    footer = {"", "Example:", "  nibble dequantize model-nf4/ --dtype bf16 -o model-bf16/"})
final class DequantizeCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(
      index = "0",
      paramLabel = "IN",
      description = "A .safetensors file, a model directory, or a .safetensors.index.json.")
  private Path source;

  @Option(
      names = "--dtype",
      paramLabel = "D",
      description = "bf16, f16 or f32 for the decoded weights (default: what they had before).")
  private Optional<String> dtype = Optional.empty();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT",
      description = "X.safetensors for one file, DIR/ for a directory. Default: beside the input.")
  private Optional<String> output = Optional.empty();

  @Option(names = "--force", description = "Replace an output that exists.")
  private boolean force;

  @Option(
      names = "--max-shard-size",
      paramLabel = "SIZE",
      description = "Largest file of a directory (default 10GB).")
  private ByteSize maxShardSize = new ByteSize(ConversionRequest.DEFAULT_SHARD_BYTES);

  @Option(
      names = {"-q", "--quiet"},
      description = "Print nothing but errors.")
  private boolean quiet;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private MachineOptions machine;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  DequantizeCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws IOException {
    Optional<DType> type =
        dtype.map(name -> QuantizeOptions.floatType(spec, "--dtype", name, "bf16, f16, f32"));
    DequantizeRequest request =
        new DequantizeRequest(
            source,
            type,
            output.map(this::outputPath),
            output.map(QuantizeOptions::form).orElse(OutputForm.AUTO),
            force,
            maxShardSize.bytes(),
            machine.threads(spec),
            machine.memoryBytes());
    DequantizeReport report;
    try (ProgressBar bar = new ProgressBar(session, quiet)) {
      report = new Dequantizer().run(request, bar, session.interruption().conversion());
    }
    if (common.json) {
      DequantizePrinter.json(report).print(session.out());
    } else if (!quiet) {
      DequantizePrinter.print(report, session.out());
    }
    return 0;
  }

  private Path outputPath(String text) {
    if (text.endsWith(".gguf")) {
      throw new ParameterException(
          spec.commandLine(),
          "--output " + text + ": plain tensors are written as safetensors: name X.safetensors");
    }
    return QuantizeOptions.outputPath(spec, text);
  }
}
