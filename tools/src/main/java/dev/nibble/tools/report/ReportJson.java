package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.Shape;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;

/// The one JSON form of all commands that handle checkpoints: tool, version, inputs, outputs,
/// tensors, totals.
public final class ReportJson {
  private final ObjectNode root;
  private final ArrayNode tensors;
  private final ObjectNode totals;

  public ReportJson(String command, List<Path> inputs, List<Path> outputs) {
    root = JsonText.root(command, inputs, outputs);
    tensors = root.putArray("tensors");
    totals = root.putObject("totals");
  }

  /// A plan: nothing has been written.
  public static ReportJson of(ConversionPlan plan) {
    ReportJson json = new ReportJson("quantize", inputs(plan), List.of());
    for (TensorPlan tensor : plan.tensors()) {
      json.add(tensor, tensor.bytesOut());
    }
    json.totals.put("bytes_in", plan.bytesIn()).put("bytes_out", plan.bytesOut());
    json.root.put("dry_run", true).put("target", plan.target().toString());
    ObjectNode matches = json.root.putObject("matches");
    plan.matches().forEach(matches::put);
    json.addNotes(plan);
    return json;
  }

  public static ReportJson of(ConversionReport report) {
    ReportJson json = new ReportJson("quantize", inputs(report.plan()), report.outputs());
    for (TensorResult result : report.tensors()) {
      ObjectNode node = json.add(result.plan(), result.bytesOut());
      result
          .error()
          .ifPresent(error -> {
            JsonText.putFinite(node, "snr_db", error.snrDb());
            JsonText.putFinite(node, "relative_error", error.relative());
            JsonText.putFinite(node, "max_error", error.maxError());
          });
      result
          .calibration()
          .ifPresent(calibration -> {
            calibration
                .outputs()
                .ifPresent(outputs -> {
                  JsonText.putFinite(node, "output_error", outputs.calibrated());
                  JsonText.putFinite(node, "output_error_rtn", outputs.nearest());
                });
            JsonText.putFinite(node, "damping", calibration.damping());
          });
    }
    Totals totals = Totals.of(report);
    json.totals
        .put("tensors_quantized", totals.quantized())
        .put("tensors_kept", totals.kept())
        .put("bytes_in", totals.bytesIn())
        .put("bytes_out", totals.bytesOut())
        .put("bytes_written", report.bytesWritten());
    JsonText.putFinite(json.totals, "ratio", totals.ratio());
    JsonText.putFinite(json.totals, "bits_per_weight", totals.bitsPerWeight());
    totals.meanSnr().ifPresent(snr -> JsonText.putFinite(json.totals, "mean_snr_db", snr));
    JsonText.putFinite(json.totals, "seconds", totals.seconds());
    JsonText.putFinite(json.totals, "gb_per_second", totals.gigabytesPerSecond());
    json.addNotes(report.plan());
    return json;
  }

  private static List<Path> inputs(ConversionPlan plan) {
    return plan.sources().stream().map(CheckpointFile::path).toList();
  }

  private void addNotes(ConversionPlan plan) {
    root.put("family", plan.family());
    ArrayNode notes = root.putArray("notes");
    plan.notes().forEach(notes::add);
  }

  private ObjectNode add(TensorPlan plan, long bytesOut) {
    return add(
        plan.source().name(),
        plan.source().shape(),
        plan.source().dtype().toString(),
        plan.scheme(),
        plan.reason(),
        plan.source().byteSize(),
        bytesOut);
  }

  /// Adds a tensor with the keys that every command's tensors have.
  public ObjectNode add(
      String name,
      Shape shape,
      String sourceDtype,
      String scheme,
      String reason,
      long bytesIn,
      long bytesOut) {
    ObjectNode node = tensors.addObject().put("name", name);
    ArrayNode dims = node.putArray("shape");
    shape.dims().forEach(dims::add);
    return node.put("source_dtype", sourceDtype)
        .put("scheme", scheme)
        .put("reason", reason)
        .put("bytes_in", bytesIn)
        .put("bytes_out", bytesOut);
  }

  public ObjectNode root() {
    return root;
  }

  public ObjectNode totals() {
    return totals;
  }

  public void print(PrintStream out) throws IOException {
    JsonText.print(root, out);
  }

  /// Prints the only report as it is, several as an array.
  public static void print(List<ReportJson> reports, PrintStream out) throws IOException {
    if (reports.size() == 1) {
      reports.getFirst().print(out);
      return;
    }
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    reports.forEach(report -> array.add(report.root));
    JsonText.print(array, out);
  }
}
