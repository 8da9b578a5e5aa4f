package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.runtime.image.ContactSheet;
import dev.nibble.runtime.image.ContactSheet.Cell;
import dev.nibble.runtime.image.RgbImage;
import dev.nibble.tools.report.Comparison.Variant;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;

/// A comparison as a sheet of pictures, as a table and as JSON.
public final class ComparisonPrinter {
  private final Comparison comparison;

  public ComparisonPrinter(Comparison comparison) {
    this.comparison = comparison;
  }

  /// The pictures with their measures under them: a row for each weights, a column for each cache.
  public RgbImage sheet() {
    List<Cell> cells =
        comparison.variants().stream()
            .map(variant -> new Cell(variant.image().image(), label(variant)))
            .toList();
    return ContactSheet.draw(cells, comparison.caches());
  }

  private List<String> label(Variant variant) {
    String cache = variant.rule().equals("none") ? "" : " + " + variant.rule();
    return List.of(
        variant.weights() + cache,
        variant.equals(comparison.reference())
            ? "reference"
            : Html.format("%s  SSIM %.4f", decibels(variant.psnr()), variant.ssim()),
        Html.format("%.2f s  %s", variant.seconds(), ByteSize.human(variant.transformerBytes())));
  }

  private static String decibels(double psnr) {
    return Double.isInfinite(psnr) ? "identical" : Html.format("%.1f dB", psnr);
  }

  /// @param file where the sheet is
  public void print(Path file, PrintStream out) {
    TextTable table = new TextTable("lrrrrrrl");
    table.row("weights", "transformer", "seconds", "computed", "reused", "PSNR", "SSIM", "cache");
    for (Variant variant : comparison.variants()) {
      boolean reference = variant.equals(comparison.reference());
      table.row(
          variant.weights(),
          ByteSize.human(variant.transformerBytes()),
          Html.format("%.2f", variant.seconds()),
          String.valueOf(variant.took().computed()),
          String.valueOf(variant.took().calls() - variant.took().computed()),
          reference ? "-" : decibels(variant.psnr()),
          reference ? "-" : Html.format("%.4f", variant.ssim()),
          variant.report().cache());
    }
    table.print(out, 0);
    out.println();
    TextTable facts = new TextTable("ll");
    facts.row("wrote", file.toString());
    comparison.notes().forEach(note -> facts.row("note", note));
    facts.print(out, 0);
    out.flush();
  }

  /// @param directory the pipeline
  /// @param file where the sheet is
  public void json(Path directory, Path file, PrintStream out) throws IOException {
    ObjectNode root = GenerationJson.root(List.of(directory), List.of(file));
    ArrayNode variants = root.putArray("variants");
    for (Variant variant : comparison.variants()) {
      ObjectNode node = variants.addObject().put("weights", variant.weights());
      node.put("transformer_bytes", variant.transformerBytes());
      JsonText.putFinite(node, "psnr_db", variant.psnr());
      JsonText.putFinite(node, "ssim", variant.ssim());
      GenerationJson.put(node, variant.report());
      GenerationJson.put(node.putArray("images").addObject(), variant.image(), variant.took());
    }
    ArrayNode notes = root.putArray("notes");
    comparison.notes().forEach(notes::add);
    JsonText.print(root, out);
  }
}
