package dev.nibble.tools.report;

import dev.nibble.runtime.GeneratedImage;
import dev.nibble.runtime.RuntimeReport;
import java.util.List;
import java.util.Optional;

/// One picture, drawn in several ways.
///
/// @param variants the ways; the others are measured against the first
/// @param notes what a reader should know of them
public record Comparison(List<Variant> variants, List<String> notes) {
  public Comparison {
    variants = List.copyOf(variants);
    notes = List.copyOf(notes);
  }

  /// What the others are measured against.
  public Variant reference() {
    return variants.getFirst();
  }

  /// How many caches there are for each weights.
  int caches() {
    return (int) variants.stream().map(variant -> variant.report().cache()).distinct().count();
  }

  /// One way to draw it.
  ///
  /// @param weights how the transformer's weights are held: `dense` or a scheme
  /// @param image the picture
  /// @param report what it took
  /// @param psnr to the reference, in decibels
  /// @param ssim to the reference
  public record Variant(
      String weights, GeneratedImage image, RuntimeReport report, double psnr, double ssim) {
    /// This way with another name for its weights.
    public Variant withWeights(String name) {
      return new Variant(name, image, report, psnr, ssim);
    }

    /// The transformer that took part.
    public Optional<RuntimeReport.Component> transformer() {
      return report.components().stream()
          .filter(component -> component.name().equals("transformer"))
          .findFirst();
    }

    RuntimeReport.Image took() {
      return report.images().getFirst();
    }

    double seconds() {
      return (took().denoiseNanos() + took().decodeNanos()) / 1e9;
    }

    long transformerBytes() {
      return transformer().map(RuntimeReport.Component::weightBytes).orElse(0L);
    }

    /// The name of the cache's rule, without its parameters.
    String rule() {
      return report.cache().replaceFirst(":.*", "");
    }
  }
}
