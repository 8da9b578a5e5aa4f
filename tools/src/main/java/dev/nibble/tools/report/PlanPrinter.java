package dev.nibble.tools.report;

import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.Text;
import java.io.PrintStream;
import java.util.List;
import java.util.Optional;

/// Prints what a conversion would do, to the byte.
public final class PlanPrinter {
  private final PrintStream out;
  private final Style style;

  public PlanPrinter(PrintStream out, Style style) {
    this.out = out;
    this.style = style;
  }

  public void print(ConversionPlan plan) {
    TextTable table = new TextTable("lrrl");
    table.row("scheme", "before", "after", "tensor (reason)");
    for (TensorPlan tensor : plan.tensors()) {
      table.row(
          tensor.scheme(),
          ByteSize.exact(tensor.source().byteSize()),
          ByteSize.exact(tensor.bytesOut()),
          Text.printable(tensor.source().name())
              + style.dim("  (" + Text.printable(tensor.reason()) + ")"));
    }
    table.print(out, 0);
    printMatches(plan);
    printTotals(plan);
    out.println();
    out.println("family  " + Text.printable(plan.family()));
    out.println("target  " + plan.target() + (plan.directory() ? "/" : ""));
    plan.notes().forEach(note -> out.println("note    " + note));
    out.println("Nothing was written (--dry-run).");
    out.flush();
  }

  private void printMatches(ConversionPlan plan) {
    if (plan.matches().isEmpty()) {
      return;
    }
    out.println();
    TextTable table = new TextTable("lr");
    table.row("pattern", "modules matched");
    plan.matches().forEach((pattern, count) -> table.row(Text.printable(pattern), "" + count));
    table.print(out, 0);
  }

  private void printTotals(ConversionPlan plan) {
    List<TensorResult> planned =
        plan.tensors().stream()
            .map(tensor -> new TensorResult(tensor, tensor.bytesOut(), Optional.empty()))
            .toList();
    out.println();
    SummaryPrinter.totals(Totals.of(planned, 0), style).print(out, 0);
  }
}
