package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.DType;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.util.List;
import java.util.Optional;

final class PlanConfiguration {
  private PlanConfiguration() {}

  static String merge(
      ModelConfig config,
      QuantStorage storage,
      List<Decision.Quantize> weights,
      List<String> skipList,
      Optional<DType> computeDtype) {
    return config.text();
  }
}
