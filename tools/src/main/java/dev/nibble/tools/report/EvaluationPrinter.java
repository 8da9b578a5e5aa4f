package dev.nibble.tools.report;

import dev.nibble.tools.report.Evaluation.Subject;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// An evaluation as tables of text.
public final class EvaluationPrinter {
  private final Evaluation evaluation;

  public EvaluationPrinter(Evaluation evaluation) {
    this.evaluation = evaluation;
  }

  /// @param html the page that was written, if one was asked for
  public void print(Optional<Path> html, PrintStream out) {
    sizes(out);
    out.println();
    distances(out);
    out.println();
    TextTable facts = new TextTable("ll");
    facts.row("drawn", drawn(evaluation));
    html.ifPresent(file -> facts.row("wrote", file.toString()));
    notes(evaluation).forEach(note -> facts.row("note", note));
    facts.print(out, 0);
    out.flush();
  }

  private void sizes(PrintStream out) {
    TextTable table = new TextTable("lrrrrl");
    table.row("variant", "file", "memory", "bits/weight", "seconds", "weights");
    for (Subject subject : evaluation.subjects()) {
      table.row(
          subject.name(),
          ByteSize.human(subject.size().fileBytes()),
          ByteSize.human(subject.size().memoryBytes()),
          bits(subject),
          Html.format("%.2f", subject.seconds()),
          subject.size().weights());
    }
    table.print(out, 0);
  }

  private void distances(PrintStream out) {
    TextTable table = new TextTable("lrrrrrrr");
    table.row(
        "variant", "latents MSE", "ratio", "closer", "PSNR", "worst tenth", "SSIM", "vae-lpips");
    for (Subject variant : evaluation.variants()) {
      table.row(
          variant.name(),
          scientific(variant.latentsError()),
          ratio(evaluation, variant),
          closer(evaluation, variant),
          decibels(variant.psnr()),
          decibels(variant.worstPsnr()),
          Html.format("%.4f", variant.ssim()),
          scientific(variant.perceptual()));
    }
    table.print(out, 0);
  }

  /// What was drawn, in one line.
  static String drawn(Evaluation evaluation) {
    int prompts = evaluation.prompts().size();
    long first = evaluation.prompts().getFirst().seed();
    return prompts == 1
        ? "1 prompt, seed %d, %s".formatted(first, evaluation.settings())
        : "%d prompts, seeds %d to %d, %s"
            .formatted(
                prompts, first, evaluation.prompts().getLast().seed(), evaluation.settings());
  }

  /// What a reader should know besides the numbers.
  static List<String> notes(Evaluation evaluation) {
    List<String> notes = new ArrayList<>();
    List<Subject> variants = evaluation.variants();
    for (Subject variant : variants.subList(1, variants.size())) {
      variant.size().sameAs(variants.getFirst().size()).ifPresent(notes::add);
    }
    for (Subject variant : variants) {
      if (variant.identical() > 0) {
        notes.add(
            "%s draws %d of %d pictures as the reference, pixel by pixel; the mean PSNR is of the"
                    .formatted(variant.name(), variant.identical(), variant.pictures().size())
                + " others");
      }
      variant.layers().ifPresent(layers -> notes.add(variant.name() + ": " + layers.summary()));
    }
    return notes;
  }

  static String bits(Subject subject) {
    return subject.size().bitsPerWeight().isPresent()
        ? Html.format("%.2f", subject.size().bitsPerWeight().getAsDouble())
        : "-";
  }

  static String ratio(Evaluation evaluation, Subject variant) {
    double ratio = evaluation.ratio(variant);
    return Double.isFinite(ratio) ? Html.format(ratio < 0.1 ? "%.4f" : "%.3f", ratio) : "-";
  }

  static String closer(Evaluation evaluation, Subject variant) {
    Subject first = evaluation.variants().getFirst();
    return variant.equals(first)
        ? "-"
        : "%d/%d".formatted(variant.closerThan(first), variant.pictures().size());
  }

  static String decibels(double psnr) {
    return Double.isInfinite(psnr) ? "identical" : Html.format("%.1f dB", psnr);
  }

  /// Three significant digits.
  static String scientific(double value) {
    return Html.format(value != 0 && value < 1e-4 ? "%.2e" : "%.3g", value);
  }
}
