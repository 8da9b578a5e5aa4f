package dev.nibble.converter.algorithm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Activation-aware weight quantization (Lin et al., arXiv:2306.00978): scales the inputs of a
/// layer so that the channels that carry most are rounded most finely. As AutoAWQ's
/// `_search_best_scale` does it, in float32, with the error of the layers' own outputs (AutoAWQ
/// looks at the output of a whole attention).
public final class Awq {
  /// Ratios tried: 0, 0.05 to 0.95.
  public static final int RATIOS = 20;

  /// Rows read at once.
  private static final int ROWS = 64;

  private Awq() {}

  /// Finds the scales of layers that share them: of the same input, or of inputs that one producer
  /// scales together.
  ///
  /// @param layers at least one
  /// @param duo whether small weights also make a scale larger (`duo_scaling`, AutoAWQ's default)
  public static ScaleChoice search(
      List<CalibratedLayer> layers, boolean duo, SearchOptions options) {
    ScaleSearch search =
        new ScaleSearch(layers, options, layer -> new WeightTrial(layer, options.maxRows()));
    float[] inputs = meanInputs(layers, search.features());
    float[] weights = duo ? meanWeights(layers, search.features()) : new float[0];
    List<float[]> candidates = new ArrayList<>();
    double[] ratios = new double[RATIOS];
    for (int i = 0; i < RATIOS; i++) {
      ratios[i] = (double) i / RATIOS;
      candidates.add(scales(inputs, weights, ratios[i]));
    }
    return search.best(candidates, ratios);
  }

  /// Mean of `|x|` of each feature, over all inputs of the layers.
  private static float[] meanInputs(List<CalibratedLayer> layers, int features) {
    double[] sums = new double[features];
    double count = 0;
    Set<String> seen = new HashSet<>();
    for (CalibratedLayer layer : layers) {
      if (!seen.add(layer.input().name())) {
        continue;
      }
      double[] mean = layer.input().meanAbs();
      for (int j = 0; j < features; j++) {
        sums[j] += mean[j] * layer.input().count();
      }
      count += layer.input().count();
    }
    float[] means = new float[features];
    for (int j = 0; j < features; j++) {
      means[j] = (float) (sums[j] / count);
    }
    return means;
  }

  /// Mean over all output rows of `|w|`, as a part of its group's largest.
  private static float[] meanWeights(List<CalibratedLayer> layers, int features) {
    double[] sums = new double[features];
    long rows = 0;
    float[] values = new float[ROWS * features];
    for (CalibratedLayer layer : layers) {
      int groupSize = GroupSizes.of(layer.scheme(), features);
      for (int first = 0; first < layer.weight().rows(); first += ROWS) {
        int count = Math.min(ROWS, layer.weight().rows() - first);
        layer.weight().read(first, count, values);
        for (int at = 0; at < count * features; at += groupSize) {
          addShares(values, at, groupSize, sums, at % features);
        }
      }
      rows += layer.weight().rows();
    }
    float[] means = new float[features];
    for (int j = 0; j < features; j++) {
      means[j] = (float) (sums[j] / rows);
    }
    return means;
  }

  private static void addShares(float[] values, int at, int count, double[] sums, int column) {
    float absmax = 0;
    for (int j = 0; j < count; j++) {
      absmax = Math.max(absmax, Math.abs(values[at + j]));
    }
    absmax += 1e-6f;
    for (int j = 0; j < count; j++) {
      sums[column + j] += Math.abs(values[at + j]) / absmax;
    }
  }

  private static float[] scales(float[] inputs, float[] weights, double ratio) {
    float[] scales = new float[inputs.length];
    for (int j = 0; j < scales.length; j++) {
      float scale = (float) Math.pow(inputs[j], ratio);
      if (weights.length > 0) {
        scale /= (float) Math.pow(weights[j], 1 - ratio) + 1e-4f;
      }
      scales[j] = Math.max(scale, 1e-4f);
    }
    return normalized(scales);
  }

  /// Divided by the geometric mean of the largest and the smallest.
  static float[] normalized(float[] scales) {
    float largest = 0;
    float smallest = Float.POSITIVE_INFINITY;
    for (float scale : scales) {
      largest = Math.max(largest, scale);
      smallest = Math.min(smallest, scale);
    }
    float middle = (float) Math.sqrt((double) largest * smallest);
    float[] normalized = Arrays.copyOf(scales, scales.length);
    for (int j = 0; j < scales.length; j++) {
      normalized[j] /= middle;
    }
    return normalized;
  }
}
