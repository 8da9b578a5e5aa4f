package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.OutputEnergy;
import dev.nibble.converter.linalg.Workers;
import dev.nibble.formats.calibration.InputStatistics;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Tries input scales on layers that will share them and measures what they lose: the squared error
/// of the layers' outputs, averaged over all of their rows and tokens. Exact where XᵀX was
/// recorded, but for {@link SearchOptions#maxRows}; else from the sampled tokens.
final class ScaleSearch {
  private final List<CalibratedLayer> layers;
  private final SearchOptions options;
  private final List<SampledRows> rows = new ArrayList<>();
  private final List<OutputEnergy> energies = new ArrayList<>();

  /// @param layers at least one; all take inputs of as many features
  ScaleSearch(List<CalibratedLayer> layers, SearchOptions options) {
    this.layers = List.copyOf(layers);
    this.options = options;
    for (CalibratedLayer layer : layers) {
      if (layer.input().features() != features()) {
        throw new IllegalArgumentException(
            "'%s' and '%s' cannot share scales: %d and %d features"
                .formatted(
                    layers.getFirst().module(),
                    layer.module(),
                    features(),
                    layer.input().features()));
      }
      rows.add(SampledRows.of(layer, options.maxRows()));
      energies.add(energy(layer.input()));
    }
  }

  /// The energy of a layer's outputs for its input.
  static OutputEnergy energy(InputStatistics input) {
    return input
        .hessian()
        .map(gram -> OutputEnergy.ofGram(gram, input.features(), input.count()))
        .orElseGet(
            () -> OutputEnergy.ofSample(input.sample(), input.sampleRows(), input.features()));
  }

  int features() {
    return layers.getFirst().input().features();
  }

  List<CalibratedLayer> layers() {
    return layers;
  }

  /// The best of a grid of scales.
  ///
  /// @param candidates scales of each ratio; entries that are no scale become 1
  /// @param ratios what the candidates were made from
  ScaleChoice best(List<float[]> candidates, double[] ratios) {
    float[] ones = new float[features()];
    Arrays.fill(ones, 1);
    List<float[]> all = new ArrayList<>(candidates);
    all.forEach(ScaleSearch::repair);
    all.add(ones);
    double[] losses = new double[all.size()];
    try (Workers workers = new Workers(options.threads())) {
      workers.each(losses.length, i -> losses[i] = loss(all.get(i)));
    }
    int best = -1;
    for (int i = 0; i < candidates.size(); i++) {
      if (Double.isFinite(losses[i]) && (best < 0 || losses[i] < losses[best])) {
        best = i;
      }
    }
    return new ScaleChoice(
        best < 0 ? ones : all.get(best),
        best < 0 ? 0 : ratios[best],
        Arrays.copyOf(losses, candidates.size()),
        losses[candidates.size()]);
  }

  /// As AutoAWQ: a channel without a usable scale keeps its own.
  private static void repair(float[] scales) {
    for (int j = 0; j < scales.length; j++) {
      if (!(scales[j] > 0 && Float.isFinite(scales[j]) && Float.isFinite(1 / scales[j]))) {
        scales[j] = 1;
      }
    }
  }

  private double loss(float[] scales) {
    double energy = 0;
    double outputs = 0;
    for (int i = 0; i < rows.size(); i++) {
      SampledRows sampled = rows.get(i);
      long tokens = sampled.layer().input().count();
      double ofRows = energies.get(i).of(sampled.error(scales), sampled.count());
      energy += tokens * sampled.share() * ofRows;
      outputs += (double) tokens * sampled.layer().weight().rows();
    }
    return energy / outputs;
  }
}
