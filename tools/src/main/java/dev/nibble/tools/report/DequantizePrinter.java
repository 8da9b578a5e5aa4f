package dev.nibble.tools.report;

import dev.nibble.converter.DequantizeReport;
import java.io.PrintStream;
import java.nio.file.Files;
import java.util.List;

/// Prints what a dequantization did.
public final class DequantizePrinter {
  private DequantizePrinter() {}

  public static void print(DequantizeReport report, PrintStream out) {
    TextTable table = new TextTable("lrrr");
    table.row("", "tensors", "before", "after");
    List<DequantizeReport.Tensor> all = report.tensors();
    row(table, "decoded", all.stream().filter(DequantizeReport.Tensor::decoded).toList());
    row(table, "kept", all.stream().filter(tensor -> !tensor.decoded()).toList());
    row(table, "total", all);
    table.print(out, 0);
    out.println();
    double seconds = report.nanos() / 1e9;
    TextTable facts = new TextTable("ll");
    facts.row(
        "time", Html.format("%.2f s, %.2f GB/s of output", seconds, bytesOut(all) / seconds / 1e9));
    facts.row("wrote", report.target() + (Files.isDirectory(report.target()) ? "/" : ""));
    facts.print(out, 0);
    out.flush();
  }

  private static void row(TextTable table, String label, List<DequantizeReport.Tensor> tensors) {
    table.row(
        label,
        String.valueOf(tensors.size()),
        ByteSize.human(bytesIn(tensors)),
        ByteSize.human(bytesOut(tensors)));
  }

  private static long bytesIn(List<DequantizeReport.Tensor> tensors) {
    return tensors.stream().mapToLong(DequantizeReport.Tensor::bytesIn).sum();
  }

  private static long bytesOut(List<DequantizeReport.Tensor> tensors) {
    return tensors.stream().mapToLong(DequantizeReport.Tensor::bytesOut).sum();
  }

  public static ReportJson json(DequantizeReport report) {
    ReportJson json = new ReportJson("dequantize", report.inputs(), report.outputs());
    for (DequantizeReport.Tensor tensor : report.tensors()) {
      json.add(
              tensor.name(),
              tensor.shape(),
              tensor.dtype().toString(),
              tensor.scheme(),
              tensor.decoded() ? "decoded" : "not quantized",
              tensor.bytesIn(),
              tensor.bytesOut())
          .put("target_dtype", tensor.dtype().toString());
    }
    json.totals()
        .put("tensors", report.tensors().size())
        .put("bytes_in", bytesIn(report.tensors()))
        .put("bytes_out", bytesOut(report.tensors()));
    JsonText.putFinite(json.totals(), "seconds", report.nanos() / 1e9);
    return json;
  }
}
