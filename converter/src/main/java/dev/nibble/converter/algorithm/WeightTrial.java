package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.OutputEnergy;
import dev.nibble.formats.calibration.InputStatistics;

/// What a layer loses when its weight alone is rounded: `ΔW·XᵀX·ΔWᵀ`, exact for all tokens where
/// XᵀX was recorded, else from the sampled ones.
final class WeightTrial implements ScaleSearch.Trial {
  private final SampledRows rows;
  private final OutputEnergy energy;

  WeightTrial(CalibratedLayer layer, int maxRows) {
    this.rows = SampledRows.of(layer, maxRows);
    this.energy = energy(layer.input());
  }

  private static OutputEnergy energy(InputStatistics input) {
    return input
        .hessian()
        .map(gram -> OutputEnergy.ofGram(gram, input.features(), input.count()))
        .orElseGet(
            () -> OutputEnergy.ofSample(input.sample(), input.sampleRows(), input.features()));
  }

  @Override
  public double loss(float[] scales) {
    return energy.of(rows.error(scales), rows.count()) / rows.count();
  }
}
