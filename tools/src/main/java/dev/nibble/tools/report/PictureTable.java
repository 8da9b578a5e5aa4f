package dev.nibble.tools.report;

import dev.nibble.runtime.image.RgbImage;
import dev.nibble.tools.report.Evaluation.Picture;
import dev.nibble.tools.report.Evaluation.Subject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/// The pictures of an evaluation side by side: a row for each prompt, the one with the worst
/// picture first; a column for the reference and each variant.
public final class PictureTable {
  /// Rows that a page shows.
  private static final int MOST_ROWS = 64;

  /// Below this width pixels are shown as squares.
  private static final int SMALL = 128;

  private final Evaluation evaluation;
  private final StringBuilder html = new StringBuilder(1 << 20);

  PictureTable(Evaluation evaluation) {
    this.evaluation = evaluation;
  }

  /// How many pictures a table has.
  public static int pictures(int prompts, int subjects) {
    return Math.min(prompts, MOST_ROWS) * subjects;
  }

  String draw() throws IOException {
    List<Integer> order = order();
    int rows = Math.min(order.size(), MOST_ROWS);
    add("<section><h2>Pictures</h2><p class=\"hint\">%s</p>", hint(rows, order.size()));
    add("<div class=\"scroll\"><table class=\"pictures\"><thead><tr><th>prompt</th>");
    for (Subject subject : evaluation.subjects()) {
      add("<th>%s</th>", Html.name(subject.name()));
    }
    add("</tr></thead><tbody>");
    for (int prompt : order.subList(0, rows)) {
      row(prompt);
    }
    add("</tbody></table></div></section>");
    return html.toString();
  }

  private static String hint(int rows, int all) {
    String shown = rows < all ? "The %d worst of %d prompts. ".formatted(rows, all) : "";
    return shown + "Prompts with the lowest PSNR in any column come first.";
  }

  private List<Integer> order() {
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < evaluation.prompts().size(); i++) {
      order.add(i);
    }
    order.sort(Comparator.comparingDouble(this::worst));
    return order;
  }

  private double worst(int prompt) {
    return evaluation.variants().stream()
        .mapToDouble(variant -> variant.pictures().get(prompt).distance().psnr())
        .min()
        .orElseThrow();
  }

  private void row(int prompt) throws IOException {
    Evaluation.Prompt drawn = evaluation.prompts().get(prompt);
    add(
        "<tr><th scope=\"row\">%s<small>seed %d</small></th>",
        Html.name(drawn.text()), drawn.seed());
    for (Subject subject : evaluation.subjects()) {
      Picture picture = subject.pictures().get(prompt);
      RgbImage image = picture.thumbnail();
      // Written by itself: a pattern with a picture in it would be parsed in vain.
      html.append("<td><img src=\"").append(Thumbnail.dataUri(image));
      add(
          "\" width=\"%d\" height=\"%d\" class=\"%s\" alt=\"%s by %s\" loading=\"lazy\"><small>%s"
              + "</small></td>",
          image.width(),
          image.height(),
          image.width() < SMALL ? "small" : "large",
          Html.name(drawn.text()),
          Html.name(subject.name()),
          subject.equals(evaluation.reference())
              ? "&nbsp;"
              : EvaluationPrinter.decibels(picture.distance().psnr()));
    }
    add("</tr>");
  }

  private void add(String pattern, Object... values) {
    html.append(Html.format(pattern, values)).append('\n');
  }
}
