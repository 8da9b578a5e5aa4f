package dev.nibble.converter;

import dev.nibble.converter.algorithm.GptqOptions;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;

/// How statistics of a model's inputs help to quantize it.
///
/// @param stats file that `nibble calibrate` wrote
/// @param gptq choose codes by GPTQ; empty: round to nearest
/// @param awq scale each input by AWQ's search
/// @param rank of the branch beside each weight (SVDQuant); empty for none
public record Calibration(Path stats, Optional<GptqOptions> gptq, boolean awq, OptionalInt rank) {
  public Calibration {
    if (gptq.isEmpty() && !awq && rank.isEmpty()) {
      throw new IllegalArgumentException("statistics that nothing uses");
    }
  }

  /// What makes the name of an output that has none: `gptq`, `awq-gptq`.
  String label() {
    StringBuilder label = new StringBuilder();
    if (awq) {
      label.append("-awq");
    }
    if (rank.isPresent()) {
      label.append("-svd").append(rank.getAsInt());
    }
    if (gptq.isPresent()) {
      label.append("-gptq");
    }
    return label.substring(1);
  }
}
