package dev.nibble.converter;

import dev.nibble.converter.algorithm.GptqOptions;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;

/// How statistics of a model's inputs help to quantize it.
///
/// @param stats file that `nibble calibrate` wrote
/// @param gptq choose codes by GPTQ; empty: round to nearest
/// @param scales scale the inputs of layers
/// @param rank of the branch beside each weight (SVDQuant); empty for none
/// @param eightBitInputs round the inputs of layers to 8 bits too, token by token as they come, but
///   for those layers that lose too much by it, which stay as they are
public record Calibration(
    Path stats,
    Optional<GptqOptions> gptq,
    Optional<Scales> scales,
    OptionalInt rank,
    boolean eightBitInputs) {
  /// How input scales are found.
  public enum Scales {
    /// By the error of rounded weights: {@link dev.nibble.converter.algorithm.Awq}.
    AWQ,
    /// By the largest inputs: {@link dev.nibble.converter.algorithm.Smoothing}.
    SMOOTH;

    String id() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  public Calibration {
    if (gptq.isEmpty() && scales.isEmpty() && rank.isEmpty() && !eightBitInputs) {
      throw new IllegalArgumentException("statistics that nothing uses");
    }
  }

  /// In names of outputs and in what a file says of its origin: `gptq`, `awq-gptq`.
  public String label() {
    StringBuilder label = new StringBuilder();
    if (eightBitInputs) {
      label.append("-w8a8");
    }
    scales.ifPresent(method -> label.append('-').append(method.id()));
    if (rank.isPresent()) {
      label.append("-svd").append(rank.getAsInt());
    }
    if (gptq.isPresent()) {
      label.append("-gptq");
    }
    return label.substring(1);
  }

  /// Whether codes or weights are changed, for which a scheme must show its grid.
  boolean needsGrid() {
    return gptq.isPresent() || scales.isPresent() || rank.isPresent();
  }
}
