package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.Workers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/// Tries input scales on layers that will share them and measures what they lose: the squared error
/// of the layers' outputs, averaged over all of their rows and tokens.
final class ScaleSearch {
  private final List<CalibratedLayer> layers;
  private final SearchOptions options;
  private final List<Trial> trials = new ArrayList<>();

  /// What one layer loses.
  interface Trial {
    /// Mean squared error of an output, over rows and tokens.
    ///
    /// @param scales of the input
    double loss(float[] scales);
  }

  /// @param layers at least one; all take inputs of as many features
  ScaleSearch(
      List<CalibratedLayer> layers,
      SearchOptions options,
      Function<CalibratedLayer, ? extends Trial> trial) {
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
      trials.add(trial.apply(layer));
    }
  }

  int features() {
    return layers.getFirst().input().features();
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
    Optional<Integer> best = least(losses, candidates.size());
    return new ScaleChoice(
        best.map(all::get).orElse(ones),
        best.map(i -> ratios[i]).orElse(0.0),
        Arrays.copyOf(losses, candidates.size()),
        losses[candidates.size()]);
  }

  /// The first of the least that are finite.
  private static Optional<Integer> least(double[] losses, int count) {
    Optional<Integer> best = Optional.empty();
    for (int i = 0; i < count; i++) {
      if (Double.isFinite(losses[i]) && (best.isEmpty() || losses[i] < losses[best.get()])) {
        best = Optional.of(i);
      }
    }
    return best;
  }

  /// As AutoAWQ: a channel without a usable scale keeps its own.
  private static void repair(float[] scales) {
    for (int j = 0; j < scales.length; j++) {
      if (!(scales[j] > 0 && Float.isFinite(scales[j]) && Float.isFinite(1 / scales[j]))) {
        scales[j] = 1;
      }
    }
  }

  /// Of all layers: each weighs as much as it has outputs, rows times tokens.
  private double loss(float[] scales) {
    double sum = 0;
    double outputs = 0;
    for (int i = 0; i < trials.size(); i++) {
      CalibratedLayer layer = layers.get(i);
      double of = (double) layer.input().count() * layer.weight().rows();
      sum += of * trials.get(i).loss(scales);
      outputs += of;
    }
    return sum / outputs;
  }
}
