package dev.nibble.tools.report;

import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.formats.Text;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// Prints what a conversion did: the summary table, and every tensor where that was asked for.
public final class SummaryPrinter {
  private final PrintStream out;
  private final Style style;

  public SummaryPrinter(PrintStream out, Style style) {
    this.out = out;
    this.style = style;
  }

  public void print(ConversionReport report, boolean everyTensor) {
    if (everyTensor) {
      printTensors(report.tensors());
    }
    Totals totals = Totals.of(report);
    totals(totals, style).print(out, 0);
    out.println();
    TextTable facts = new TextTable("ll");
    if (totals.quantized() > 0) {
      facts.row("bits per weight", Html.format("%.2f", totals.bitsPerWeight()));
      totals.meanSnr().ifPresent(snr -> facts.row("mean SNR", meanSnr(snr, report)));
    }
    Optional<CalibrationTotals> calibration = CalibrationTotals.of(report);
    calibration
        .flatMap(CalibrationTotals::errors)
        .ifPresent(errors -> facts.row("output error", errors));
    facts.row(
        "time",
        Html.format("%.2f s, %.2f GB/s of source", totals.seconds(), totals.gigabytesPerSecond()));
    facts.row(
        "wrote",
        shown(report.plan().target())
            + (report.plan().directory() ? "/" : "")
            + Html.format(" (%s)", ByteSize.human(report.bytesWritten())));
    calibration.flatMap(CalibrationTotals::damping).ifPresent(note -> facts.row("note", note));
    report.plan().notes().forEach(note -> facts.row("note", note));
    facts.print(out, 0);
    out.flush();
  }

  /// A path as short as it can be: seen from the working folder where it lies below that.
  private static Path shown(Path path) {
    Path here = Path.of("").toAbsolutePath();
    return path.startsWith(here) ? here.relativize(path) : path;
  }

  /// Tensors and bytes, quantized and kept; where nothing is quantized, cast and kept.
  static TextTable totals(Totals totals, Style style) {
    TextTable table = new TextTable("lrrrl");
    table.row("", "tensors", "before", "after", "");
    if (totals.quantized() == 0 && totals.cast() > 0) {
      int copied = totals.kept() - totals.cast();
      long copiedIn = totals.keptIn() - totals.castIn();
      row(table, "cast", totals.cast(), totals.castIn(), totals.castOut());
      row(table, "kept", copied, copiedIn, copiedIn);
    } else {
      row(table, "quantized", totals.quantized(), totals.quantizedIn(), totals.quantizedOut());
      row(table, "kept", totals.kept(), totals.keptIn(), totals.keptOut());
    }
    return table.row(
        "total",
        String.valueOf(totals.quantized() + totals.kept()),
        ByteSize.human(totals.bytesIn()),
        ByteSize.human(totals.bytesOut()),
        style.bold(change(totals)));
  }

  private static String change(Totals totals) {
    return totals.ratio() < 1
        ? Html.format("%.2fx larger", 1 / totals.ratio())
        : Html.format("%.2fx smaller", totals.ratio());
  }

  private static void row(TextTable table, String label, int tensors, long before, long after) {
    table.row(label, String.valueOf(tensors), ByteSize.human(before), ByteSize.human(after), "");
  }

  private static String meanSnr(double snr, ConversionReport report) {
    TensorResult worst = Totals.lossy(report.tensors()).getFirst();
    return Html.format(
        "%.2f dB (least: %.2f dB, %s)",
        snr, Totals.snrDb(worst), Text.printable(worst.plan().source().name()));
  }

  private void printTensors(List<TensorResult> results) {
    TextTable table = new TextTable("lrrrl");
    table.row("scheme", "before", "after", "SNR dB", "tensor");
    for (TensorResult result : results) {
      table.row(
          result.plan().scheme(),
          ByteSize.exact(result.plan().source().byteSize()),
          ByteSize.exact(result.bytesOut()),
          result.error().map(error -> Html.format("%.2f", error.snrDb())).orElse("-"),
          Text.printable(result.plan().source().name()));
    }
    table.print(out, 0);
    out.println();
  }
}
