package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.converter.VerifyReport;
import dev.nibble.formats.Text;
import dev.nibble.formats.quant.QuantError;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Prints how two checkpoints differ.
public final class VerifyPrinter {
  private static final int WORST = 10;
  private static final int MOST_NAMES = 20;

  private final VerifyReport report;

  public VerifyPrinter(VerifyReport report) {
    this.report = report;
  }

  public void print(PrintStream out, Style style) {
    List<VerifyReport.Tensor> worst = report.worst(WORST);
    if (!worst.isEmpty()) {
      TextTable table = new TextTable("rrrll");
      table.row("SNR dB", "rel error", "max error", "stored as", "tensor");
      for (VerifyReport.Tensor tensor : worst) {
        row(table, tensor.error(), tensor.first() + " / " + tensor.second(), tensor.name());
      }
      table.print(out, 0);
      out.println();
    }
    names(out, "only in the first", report.onlyFirst());
    names(out, "only in the second", report.onlySecond());
    for (VerifyReport.Reshaped tensor : report.reshaped()) {
      out.println(
          "shape differs: "
              + tensor.first()
              + " / "
              + tensor.second()
              + "  "
              + Text.printable(tensor.name()));
    }
    long identical = report.tensors().stream().filter(VerifyReport.Tensor::identical).count();
    QuantError all = report.overall();
    TextTable facts = new TextTable("ll");
    if (report.tensors().isEmpty()) {
      facts.row("compared", "0 tensors");
    } else {
      facts.row(
          "compared", Html.format("%d tensors, %d identical", report.tensors().size(), identical));
      facts.row("max error", Html.format("%.6g", all.maxError()));
      facts.row("relative error", Html.format("%.6g", all.relative()));
      facts.row("SNR", snr(all) + (Double.isFinite(all.snrDb()) ? " dB" : ""));
    }
    facts.row("time", Html.format("%.2f s", report.nanos() / 1e9));
    facts.print(out, 0);
    if (report.identical()) {
      out.println(style.good("The checkpoints are identical, tensor by tensor."));
    }
    out.flush();
  }

  private static void row(TextTable table, QuantError error, String stored, String name) {
    table.row(
        snr(error),
        Html.format("%.3g", error.relative()),
        Html.format("%.3g", error.maxError()),
        stored,
        Text.printable(name));
  }

  private static String snr(QuantError error) {
    double snr = error.snrDb();
    return Double.isFinite(snr) ? Html.format("%.2f", snr) : snr > 0 ? "exact" : "none";
  }

  private static void names(PrintStream out, String label, List<String> names) {
    for (String name : names.subList(0, Math.min(MOST_NAMES, names.size()))) {
      out.println(label + ": " + Text.printable(name));
    }
    if (names.size() > MOST_NAMES) {
      out.println(label + ": and " + (names.size() - MOST_NAMES) + " more");
    }
  }

  /// @param passed whether the gate was met
  public ReportJson json(boolean passed) {
    List<Path> inputs = new ArrayList<>(report.firstFiles());
    inputs.addAll(report.secondFiles());
    ReportJson json = new ReportJson("verify", inputs, List.of());
    for (VerifyReport.Tensor tensor : report.tensors()) {
      ObjectNode node =
          json.add(
              tensor.name(),
              tensor.shape(),
              tensor.first(),
              tensor.second(),
              tensor.identical() ? "identical" : "compared",
              tensor.bytesFirst(),
              tensor.bytesSecond());
      putErrors(node, tensor.error());
    }
    json.totals()
        .put("tensors", report.tensors().size())
        .put("identical", report.tensors().stream().filter(VerifyReport.Tensor::identical).count())
        .put("bytes_in", report.tensors().stream().mapToLong(VerifyReport.Tensor::bytesFirst).sum())
        .put(
            "bytes_out",
            report.tensors().stream().mapToLong(VerifyReport.Tensor::bytesSecond).sum());
    if (!report.tensors().isEmpty()) {
      putErrors(json.totals(), report.overall());
    }
    json.root().put("passed", passed);
    report.onlyFirst().forEach(json.root().putArray("only_first")::add);
    report.onlySecond().forEach(json.root().putArray("only_second")::add);
    ArrayNode reshaped = json.root().putArray("reshaped");
    report
        .reshaped()
        .forEach(tensor ->
            reshaped
                .addObject()
                .put("name", tensor.name())
                .put("first", tensor.first().toString())
                .put("second", tensor.second().toString()));
    return json;
  }

  private static void putErrors(ObjectNode node, QuantError error) {
    JsonText.putFinite(node, "max_error", error.maxError());
    JsonText.putFinite(node, "relative_error", error.relative());
    JsonText.putFinite(node, "snr_db", error.snrDb());
  }
}
