package dev.nibble.tools.report;

import dev.nibble.tools.report.Evaluation.Subject;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/// The page of an evaluation: one file with all pictures in it, no scripts, light and dark.
public final class EvaluationHtml {
  private final Evaluation evaluation;
  private final StringBuilder page = new StringBuilder(1 << 20);

  private EvaluationHtml(Evaluation evaluation) {
    this.evaluation = evaluation;
  }

  /// The page.
  ///
  /// @param arguments the command line, as it was given
  /// @param version of nibble
  public static String of(Evaluation evaluation, List<String> arguments, String version)
      throws IOException {
    EvaluationHtml html = new EvaluationHtml(evaluation);
    html.page.append(
        HtmlPage.head(html.name() + ", evaluated by nibble", "report.css", "evaluation.css"));
    html.headline();
    html.summary();
    html.chart();
    html.page.append(new PictureTable(evaluation).draw());
    html.layers();
    html.reading();
    html.options(arguments, version);
    html.add(HtmlPage.END);
    return html.page.toString();
  }

  private String name() {
    Path name = evaluation.pipeline().toAbsolutePath().normalize().getFileName();
    return name == null ? evaluation.pipeline().toString() : name.toString();
  }

  private void headline() {
    int variants = evaluation.variants().size();
    add("<header><p class=\"brand\">nibble</p>");
    add("<h1>%s</h1>", Html.name(name()));
    add(
        "<p class=\"sub\">%s &middot; the pipeline's own transformer and %d other%s &middot; %s</p>"
            + "</header>",
        Html.escape(EvaluationPrinter.drawn(evaluation)),
        variants,
        variants == 1 ? "" : "s",
        Html.escape(evaluation.backend()));
  }

  private void summary() {
    add("<section><h2>Size and distance to the reference</h2>");
    add("<div class=\"scroll\"><table><thead><tr><th>variant</th>");
    for (String head :
        List.of(
            "file",
            "memory",
            "bits/weight",
            "latents MSE",
            "ratio",
            "closer",
            "PSNR",
            "worst tenth",
            "SSIM",
            "vae-lpips",
            "seconds")) {
      add("<th class=\"n\">%s</th>", head);
    }
    add("<th>weights</th></tr></thead><tbody>");
    for (Subject subject : evaluation.subjects()) {
      row(subject);
    }
    add("</tbody></table></div>");
    List<String> notes = EvaluationPrinter.notes(evaluation);
    if (!notes.isEmpty()) {
      add("<ul class=\"hint\">");
      notes.forEach(note -> add("<li>%s</li>", Html.name(note)));
      add("</ul>");
    }
    add("</section>");
  }

  private void row(Subject subject) {
    boolean reference = subject.equals(evaluation.reference());
    add("<tr><th scope=\"row\" class=\"name\">%s</th>", Html.name(subject.name()));
    number(ByteSize.human(subject.size().fileBytes()));
    number(ByteSize.human(subject.size().memoryBytes()));
    number(EvaluationPrinter.bits(subject));
    number(reference ? "" : EvaluationPrinter.scientific(subject.latentsError()));
    number(reference ? "" : EvaluationPrinter.ratio(evaluation, subject));
    number(reference ? "" : EvaluationPrinter.closer(evaluation, subject));
    number(reference ? "" : EvaluationPrinter.decibels(subject.psnr()));
    number(reference ? "" : EvaluationPrinter.decibels(subject.worstPsnr()));
    number(reference ? "" : Html.format("%.4f", subject.ssim()));
    number(reference ? "" : EvaluationPrinter.scientific(subject.perceptual()));
    number(Html.format("%.2f", subject.seconds()));
    add("<td>%s</td></tr>", Html.name(subject.size().weights()));
  }

  private void number(String text) {
    add("<td class=\"n\">%s</td>", text);
  }

  private void chart() {
    List<Subject> variants = evaluation.variants();
    double most =
        variants.stream().mapToDouble(evaluation::ratio).filter(Double::isFinite).max().orElse(0);
    if (most == 0) {
      return;
    }
    add("<section><h2>Latents MSE, as a share of %s</h2>", Html.name(variants.getFirst().name()));
    add("<p class=\"hint\">Shorter is closer to the reference.</p><div class=\"ratios\">");
    for (Subject variant : variants) {
      add(
          "<span class=\"name\">%s</span><span class=\"track\"><i class=\"%s\""
              + " style=\"width:%.2f%%\"></i></span><b class=\"n\">%s</b>",
          Html.name(variant.name()),
          variant.equals(variants.getFirst()) ? "was" : "now",
          Double.isFinite(evaluation.ratio(variant)) ? 100 * evaluation.ratio(variant) / most : 0,
          EvaluationPrinter.ratio(evaluation, variant));
    }
    add("</div></section>");
  }

  private void layers() {
    for (Subject variant : evaluation.variants()) {
      if (variant.layers().isPresent()) {
        layers(variant.name(), variant.layers().get());
      }
    }
  }

  private void layers(String variant, LayerErrors errors) {
    add(
        "<section><details><summary>Layers of %s: %d</summary><p class=\"hint\">%s</p>",
        Html.name(variant), errors.layers().size(), Html.escape(errors.summary()));
    add("<table><thead><tr><th>weight</th><th class=\"n\">output error</th>");
    add("<th class=\"n\">rounded to nearest</th><th class=\"n\">ratio</th></tr></thead><tbody>");
    for (LayerErrors.Layer layer : errors.layers()) {
      add(
          "<tr><td class=\"name\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td"
              + " class=\"n\">%s</td></tr>",
          Html.name(layer.name()),
          EvaluationPrinter.scientific(layer.error()),
          EvaluationPrinter.scientific(layer.roundToNearest()),
          Double.isFinite(layer.ratio()) ? Html.format("%.3f", layer.ratio()) : "");
    }
    add("</tbody></table></details></section>");
  }

  private void reading() {
    add(
        """
        <section><h2>What the numbers are</h2><dl>
        <dt>latents MSE</dt><dd>mean squared difference of the final latents to the reference's, before
        the autoencoder; mean over the prompts. <i>ratio</i>: as a share of the first variant's.
        <i>closer</i>: prompts in which it is below the first variant's.</dd>
        <dt>PSNR</dt><dd>of the 8-bit pictures, mean over the prompts; <i>worst tenth</i>: a tenth of the
        pictures has this or less.</dd>
        <dt>SSIM</dt><dd>structural similarity (Wang et al. 2004), 1 for equal pictures.</dd>
        <dt>vae-lpips</dt><dd>distance of the features of the pipeline's own encoder, in the manner of LPIPS
        (Zhang et al. 2018) with uniform weights: 0 for equal pictures, at most 4. Not LPIPS itself, nor
        on its scale; it compares variants of one pipeline.</dd>
        <dt>bits/weight</dt><dd>stored bits of the quantized weights, with their statistics; of all matrices
        where none is quantized.</dd>
        <dt>seconds</dt><dd>steps and autoencoder of one picture, the median.</dd>
        </dl></section>\
        """);
  }

  private void options(List<String> arguments, String version) {
    add(
        "<section><h2>How it was made</h2><pre>nibble %s</pre><ul>",
        Html.escape(String.join(" ", arguments)));
    for (Subject subject : evaluation.subjects()) {
      add(
          "<li>%s: <code>%s</code></li>",
          Html.name(subject.name()), Html.name(subject.size().path().toString()));
    }
    add("</ul><p class=\"hint\">nibble %s</p></section>", Html.escape(version));
  }

  private void add(String pattern, Object... values) {
    page.append(Html.format(pattern, values)).append('\n');
  }
}
