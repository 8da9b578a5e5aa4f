package dev.nibble.tools.report;

import dev.nibble.runtime.image.RgbImage;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/// The pictures of several prompts, drawn with a pipeline's own transformer and with others.
///
/// @param pipeline its directory
/// @param backend where it ran
/// @param prompts what was drawn
/// @param settings what all pictures share, in a few words: steps, guidance, size
/// @param subjects the transformers: the pipeline's own first, which the others are measured
///   against
public record Evaluation(
    Path pipeline, String backend, List<Prompt> prompts, String settings, List<Subject> subjects) {
  public Evaluation {
    prompts = List.copyOf(prompts);
    subjects = List.copyOf(subjects);
  }

  /// What the others are measured against.
  public Subject reference() {
    return subjects.getFirst();
  }

  /// The others, in the order given.
  public List<Subject> variants() {
    return subjects.subList(1, subjects.size());
  }

  /// Mean latents MSE of a variant as a share of the first variant's; not finite if that is zero.
  double ratio(Subject variant) {
    return variant.latentsError() / variants().getFirst().latentsError();
  }

  /// One picture to draw.
  ///
  /// @param seed of its noise
  public record Prompt(String text, long seed) {}

  /// How far a picture is from the reference's.
  ///
  /// @param latentsError mean squared error of the final latents
  /// @param psnr in decibels, infinite for equal pictures
  /// @param ssim 1 for equal pictures
  /// @param perceptual `vae-lpips`, 0 for equal pictures
  public record Distance(double latentsError, double psnr, double ssim, double perceptual) {
    /// Of the reference to itself.
    public static final Distance NONE = new Distance(0, Double.POSITIVE_INFINITY, 1, 0);
  }

  /// One picture.
  ///
  /// @param thumbnail the picture, made smaller if it is large
  /// @param seconds of all steps and the autoencoder
  public record Picture(RgbImage thumbnail, double seconds, Distance distance) {}

  /// A transformer and what was drawn with it.
  ///
  /// @param pictures one a prompt
  /// @param layers errors of its layers, where its conversion's report was given
  public record Subject(
      TransformerSize size, List<Picture> pictures, Optional<LayerErrors> layers) {
    public Subject {
      pictures = List.copyOf(pictures);
    }

    public String name() {
      return size.name();
    }

    double latentsError() {
      return mean(Distance::latentsError);
    }

    /// Mean over the pictures that differ from the reference's; infinite if none does.
    double psnr() {
      return pictures.stream()
          .mapToDouble(picture -> picture.distance().psnr())
          .filter(Double::isFinite)
          .average()
          .orElse(Double.POSITIVE_INFINITY);
    }

    /// A tenth of the pictures, and at least one, has this PSNR or a lower one.
    double worstPsnr() {
      double[] sorted =
          pictures.stream().mapToDouble(picture -> picture.distance().psnr()).sorted().toArray();
      return sorted[Math.ceilDiv(sorted.length, 10) - 1];
    }

    double ssim() {
      return mean(Distance::ssim);
    }

    double perceptual() {
      return mean(Distance::perceptual);
    }

    /// Pictures that are the reference's, pixel by pixel.
    long identical() {
      return pictures.stream().filter(one -> Double.isInfinite(one.distance().psnr())).count();
    }

    /// Median over the pictures: the first ones of a process are slow.
    double seconds() {
      double[] sorted = pictures.stream().mapToDouble(Picture::seconds).sorted().toArray();
      int middle = sorted.length / 2;
      return sorted.length % 2 == 1
          ? sorted[middle]
          : Arrays.stream(sorted, middle - 1, middle + 1).average().orElseThrow();
    }

    /// Prompts whose final latents are nearer to the reference's than another's are.
    int closerThan(Subject other) {
      int closer = 0;
      for (int i = 0; i < pictures.size(); i++) {
        double own = pictures.get(i).distance().latentsError();
        closer += own < other.pictures.get(i).distance().latentsError() ? 1 : 0;
      }
      return closer;
    }

    private double mean(ToDoubleFunction<Distance> measure) {
      return pictures.stream()
          .mapToDouble(picture -> measure.applyAsDouble(picture.distance()))
          .average()
          .orElseThrow();
    }
  }
}
