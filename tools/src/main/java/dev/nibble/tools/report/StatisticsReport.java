package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.runtime.calibration.StatisticsRequest;
import dev.nibble.runtime.calibration.StatisticsSummary;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/// What `calibrate -o X.safetensors` recorded, for people and for programs.
///
/// @param model the pipeline
/// @param prompts file of prompts
/// @param component whose layers were recorded
/// @param request what was drawn
/// @param summary what was recorded
/// @param bytes of the file
/// @param nanos that it took, what an earlier run did not counted
public record StatisticsReport(
    Path model,
    Path prompts,
    String component,
    StatisticsRequest request,
    StatisticsSummary summary,
    long bytes,
    long nanos) {
  /// @param output where the file is
  public void print(Path output, PrintStream out) {
    TextTable facts = new TextTable("ll");
    facts.row(
        "recorded",
        "%d layers of the %s, %d different inputs"
            .formatted(summary.layers(), component, summary.inputs()));
    facts.row(
        "over",
        "%d prompts, %d steps, guidance %s, %d %s"
            .formatted(
                request.prompts().size(),
                request.steps(),
                request.guidance(),
                summary.passes(),
                summary.passes() == 1 ? "pass" : "passes"));
    facts.row("rows", String.format(Locale.ROOT, "%,d", summary.rows()));
    facts.row("time", String.format(Locale.ROOT, "%.1f s", nanos / 1e9));
    facts.row("wrote", "%s, %s".formatted(output, ByteSize.human(bytes)));
    facts.row("use", "nibble quantize MODEL --nf4 --gptq --stats " + output);
    facts.print(out, 0);
    out.flush();
  }

  /// @param output where the file is
  public void json(Path output, PrintStream out) throws IOException {
    ObjectNode root = JsonText.root("calibrate", List.of(model, prompts), List.of(output));
    root.put("component", component)
        .put("prompts", request.prompts().size())
        .put("steps", request.steps())
        .put("guidance", request.guidance())
        .put("inputs", summary.inputs())
        .put("layers", summary.layers())
        .put("rows", summary.rows())
        .put("passes", summary.passes())
        .put("bytes", bytes)
        .put("seconds", nanos / 1e9);
    JsonText.print(root, out);
  }
}
