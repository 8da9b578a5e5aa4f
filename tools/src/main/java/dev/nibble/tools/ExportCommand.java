package dev.nibble.tools;

import dev.nibble.formats.nunchaku.NunchakuExport;
import dev.nibble.tools.report.ReportJson;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `nibble export`: a quantized model as another runtime's kernels want it.
@Command(
    name = "export",
    description = {
      "Writes a model's directory for nunchaku's 4-bit kernels, as diffusers'",
      "nunchaku_lite opens it. Its layers are int4:g64:bf16+svdRANK."
    },
    sortOptions = false,
    footer = {"", "Example:", "  nibble export transformer-svd/ -o transformer-nunchaku/"})
final class ExportCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(index = "0", paramLabel = "DIR", description = "A model's directory.")
  private Path source;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT",
      required = true,
      description = "The directory to write.")
  private Path output;

  @Option(names = "--force", description = "Replace an output that exists.")
  private boolean force;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  ExportCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws IOException {
    NunchakuExport.Summary summary = NunchakuExport.write(source, output, force);
    if (common.json) {
      ReportJson json = new ReportJson("export", List.of(source), List.of(output));
      json.totals().put("layers", summary.layers()).put("rank", summary.rank());
      json.print(session.out());
    } else {
      session
          .out()
          .println(
              "%s: %d %s of 4 bits with a branch of rank %d"
                  .formatted(
                      output,
                      summary.layers(),
                      summary.layers() == 1 ? "layer" : "layers",
                      summary.rank()));
    }
    return 0;
  }
}
