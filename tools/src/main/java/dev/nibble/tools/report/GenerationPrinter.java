package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.runtime.Generation;
import dev.nibble.runtime.RuntimeReport;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;

/// Prints what a generation drew and what it took.
public final class GenerationPrinter {
  private final Generation generation;
  private final List<Path> pictures;
  private final long seed;

  /// @param pictures the file of each picture
  /// @param seed of the noise that all are drawn from
  public GenerationPrinter(Generation generation, List<Path> pictures, long seed) {
    this.generation = generation;
    this.pictures = List.copyOf(pictures);
    this.seed = seed;
  }

  /// @param files all files that were written
  public void print(List<Path> files, PrintStream out) {
    RuntimeReport report = generation.report();
    TextTable images = new TextTable("lrrrrr");
    images.row("picture", "size", "seed", "computed", "reused", "seconds");
    for (int i = 0; i < report.images().size(); i++) {
      RuntimeReport.Image image = report.images().get(i);
      var pixels = generation.images().get(i).image();
      images.row(
          pictures.get(i).toString(),
          pixels.width() + "x" + pixels.height(),
          String.valueOf(seed),
          String.valueOf(image.computed()),
          String.valueOf(image.calls() - image.computed()),
          Html.format("%.2f", (image.denoiseNanos() + image.decodeNanos()) / 1e9));
    }
    images.print(out, 0);
    out.println();
    TextTable components = new TextTable("lrl");
    components.row("component", "bytes", "weights");
    for (RuntimeReport.Component component : report.components()) {
      components.row(
          component.name(), ByteSize.human(component.weightBytes()), component.weights());
    }
    components.row("total", ByteSize.human(weightBytes()), "");
    components.print(out, 0);
    out.println();
    TextTable facts = new TextTable("ll");
    facts.row("cache", report.cache());
    facts.row("time", times());
    files.stream()
        .filter(file -> !pictures.contains(file))
        .forEach(file -> facts.row("also wrote", file.toString()));
    facts.print(out, 0);
    out.flush();
  }

  private String times() {
    RuntimeReport report = generation.report();
    long denoise = report.images().stream().mapToLong(RuntimeReport.Image::denoiseNanos).sum();
    long decode = report.images().stream().mapToLong(RuntimeReport.Image::decodeNanos).sum();
    return Html.format(
        "text %.2f s, steps %.2f s, decoding %.2f s",
        report.textNanos() / 1e9, denoise / 1e9, decode / 1e9);
  }

  private long weightBytes() {
    return generation.report().components().stream()
        .mapToLong(RuntimeReport.Component::weightBytes)
        .sum();
  }

  /// @param directory the pipeline
  /// @param files all files that were written
  public void json(Path directory, List<Path> files, PrintStream out) throws IOException {
    ObjectNode root = GenerationJson.root(List.of(directory), files);
    GenerationJson.put(root, generation.report());
    ArrayNode images = root.putArray("images");
    for (int i = 0; i < pictures.size(); i++) {
      ObjectNode node =
          images.addObject().put("file", pictures.get(i).toString()).put("seed", seed);
      GenerationJson.put(node, generation.images().get(i), generation.report().images().get(i));
    }
    ObjectNode totals = root.putObject("totals").put("weight_bytes", weightBytes());
    totals.put("pictures", pictures.size());
    JsonText.print(root, out);
  }
}
