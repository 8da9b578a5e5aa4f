package dev.nibble.converter.algorithm;

import dev.nibble.formats.quant.ActivationType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// SmoothQuant (Xiao et al., arXiv:2211.10438): input scales `max|x|^α / max|w|^(1−α)` that move
/// the outliers of an input into the weight, α chosen by the error of the outputs. What a layer
/// with 8-bit inputs wants, and what SVDQuant (arXiv:2411.05007) does before it takes off the low
/// rank.
public final class Smoothing {
  /// Strengths tried: 0, 0.05 to 0.95.
  private static final int RATIOS = 20;

  /// As SmoothQuant's `smooth_lm`.
  private static final float LEAST = 1e-5f;

  /// Rows read at once.
  private static final int ROWS = 64;

  private Smoothing() {}

  /// Finds the scales of layers that share them.
  ///
  /// @param layers at least one
  /// @param inputs what the inputs are rounded to, which then counts; empty to look at the error of
  ///   the weights alone
  public static ScaleChoice search(
      List<CalibratedLayer> layers, Optional<ActivationType> inputs, SearchOptions options) {
    ScaleSearch search =
        new ScaleSearch(
            layers,
            options,
            layer ->
                inputs.isPresent()
                    ? new InputTrial(layer, inputs.get(), options.maxRows())
                    : new WeightTrial(layer, options.maxRows()));
    float[] x = largestInputs(layers, search.features());
    float[] w = largestWeights(layers, search.features());
    List<float[]> candidates = new ArrayList<>();
    double[] ratios = new double[RATIOS];
    for (int i = 0; i < RATIOS; i++) {
      ratios[i] = (double) i / RATIOS;
      candidates.add(scales(x, w, ratios[i]));
    }
    return search.best(candidates, ratios);
  }

  /// An input that was nothing but zeros stays as it is: were it divided by next to nothing, then
  /// its first other number would drown the rest of its token.
  static float[] scales(float[] x, float[] w, double ratio) {
    float[] scales = new float[x.length];
    for (int j = 0; j < scales.length; j++) {
      if (x[j] == 0) {
        scales[j] = 1;
        continue;
      }
      double scale = Math.pow(x[j], ratio) / Math.pow(Math.max(w[j], LEAST), 1 - ratio);
      scales[j] = Math.max((float) scale, LEAST);
    }
    return scales;
  }

  private static float[] largestInputs(List<CalibratedLayer> layers, int features) {
    float[] largest = new float[features];
    for (CalibratedLayer layer : layers) {
      float[] max = layer.input().maxAbs();
      for (int j = 0; j < features; j++) {
        largest[j] = Math.max(largest[j], max[j]);
      }
    }
    return largest;
  }

  private static float[] largestWeights(List<CalibratedLayer> layers, int features) {
    float[] largest = new float[features];
    float[] values = new float[ROWS * features];
    for (CalibratedLayer layer : layers) {
      for (int first = 0; first < layer.weight().rows(); first += ROWS) {
        int count = Math.min(ROWS, layer.weight().rows() - first);
        layer.weight().read(first, count, values);
        for (int i = 0; i < count * features; i++) {
          largest[i % features] = Math.max(largest[i % features], Math.abs(values[i]));
        }
      }
    }
    return largest;
  }
}
