package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.PipelinePlan;
import dev.nibble.converter.TensorPlan;
import java.io.PrintStream;
import java.util.stream.Collectors;

/// The components of a pipeline: what each becomes, and its size.
public record ComponentTable(PipelinePlan plan) {
  public void print(PrintStream out) {
    TextTable table = new TextTable("llrr");
    table.row("component", "scheme", "before", "after");
    plan.components()
        .forEach((name, component) ->
            row(table, name, schemes(component), component.bytesIn(), component.bytesOut()));
    plan.kept().forEach((name, bytes) -> row(table, name, "kept", bytes, bytes));
    long others =
        plan.copiedBytes() - plan.kept().values().stream().mapToLong(Long::longValue).sum();
    row(table, "other files", "copied", others, others);
    row(table, "pipeline", "", plan.bytesIn(), plan.bytesOut());
    table.print(out, 0);
    out.println();
  }

  /// Adds the same to a report for machines, under `components`.
  public void addTo(ReportJson json) {
    ObjectNode components = json.root().putObject("components");
    plan.components()
        .forEach((name, component) ->
            add(components, name, schemes(component), component.bytesIn(), component.bytesOut()));
    plan.kept().forEach((name, bytes) -> add(components, name, "keep", bytes, bytes));
  }

  private static void add(
      ObjectNode components, String name, String scheme, long before, long after) {
    components
        .putObject(name)
        .put("scheme", scheme)
        .put("bytes_in", before)
        .put("bytes_out", after);
  }

  private static void row(TextTable table, String name, String scheme, long before, long after) {
    table.row(name, scheme, ByteSize.human(before), ByteSize.human(after));
  }

  private static String schemes(ConversionPlan plan) {
    return plan.tensors().stream()
        .filter(TensorPlan.Quantize.class::isInstance)
        .map(TensorPlan::scheme)
        .distinct()
        .collect(Collectors.joining(", "));
  }
}
