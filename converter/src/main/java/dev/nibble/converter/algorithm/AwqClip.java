package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.OutputEnergy;
import dev.nibble.converter.linalg.Workers;
import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;

/// AWQ's second search, `_search_best_clip` of AutoAWQ: how far the largest weights of each group
/// are pulled in, so that the others are rounded more finely. Measured on the sampled tokens, each
/// group's part of an output by itself.
public final class AwqClip {
  /// Limits tried: the largest magnitude, 0.95 of it, to 0.55.
  private static final int TRIES = 10;

  /// Steps from the largest magnitude to nothing.
  private static final int STEPS = 20;

  /// Most tokens looked at, as a step through the sample: AutoAWQ's `n_sample_token`.
  private static final int TOKENS = 512;

  /// Output rows that a task tries at once.
  private static final int ROWS = 64;

  /// Query and key: their product goes through a softmax, so the error of each says little.
  private static final Pattern AVOIDED =
      Pattern.compile("(^|[._])(to_q|to_k|qkv|Wqkv)($|\\.)|q_|k_|query|key");

  private AwqClip() {}

  /// Whether AutoAWQ would look for limits of that layer.
  public static boolean suits(String module) {
    return !AVOIDED.matcher(module).find();
  }

  /// Finds the limits of a layer's groups.
  ///
  /// @param scales of the input, `[in]`: the limits are those of `W·diag(s)`
  public static ClipChoice search(CalibratedLayer layer, float[] scales, SearchOptions options) {
    return search(layer, scales, TOKENS, options);
  }

  static ClipChoice search(
      CalibratedLayer layer, float[] scales, int tokens, SearchOptions options) {
    int columns = layer.weight().columns();
    int rows = layer.weight().rows();
    int groupSize = GroupSizes.of(layer.scheme(), columns);
    List<OutputEnergy> energies = energies(layer, scales, groupSize, tokens);
    float[] limits = new float[Math.multiplyExact(rows, energies.size())];
    int tasks = Math.ceilDiv(rows, ROWS);
    double[] losses = new double[tasks];
    double[] plain = new double[tasks];
    try (Workers workers = new Workers(options.threads())) {
      workers.each(
          tasks,
          task -> {
            int first = task * ROWS;
            Chunk chunk = new Chunk(layer, scales, energies, first, Math.min(ROWS, rows - first));
            for (int i = 0; i < TRIES; i++) {
              chunk.attempt((float) (1 - (double) i / STEPS));
              plain[task] = i == 0 ? chunk.loss() : plain[task];
            }
            losses[task] = chunk.loss();
            System.arraycopy(chunk.best, 0, limits, first * energies.size(), chunk.best.length);
          });
    }
    return new ClipChoice(
        groupSize,
        limits,
        Arrays.stream(losses).sum() / limits.length,
        Arrays.stream(plain).sum() / limits.length);
  }

  /// Of each group of columns, for the scaled input.
  private static List<OutputEnergy> energies(
      CalibratedLayer layer, float[] scales, int groupSize, int most) {
    int columns = scales.length;
    int step = Math.max(1, layer.input().sampleRows() / most);
    int tokens = Math.ceilDiv(layer.input().sampleRows(), step);
    MemorySegment sample = layer.input().sample();
    List<OutputEnergy> energies = new ArrayList<>();
    for (int first = 0; first < columns; first += groupSize) {
      float[] group = new float[tokens * groupSize];
      for (int token = 0; token < tokens; token++) {
        long at = 4 * ((long) token * step * columns + first);
        MemorySegment.copy(sample, LittleEndian.FLOAT, at, group, token * groupSize, groupSize);
        for (int j = 0; j < groupSize; j++) {
          group[token * groupSize + j] /= scales[first + j];
        }
      }
      energies.add(
          OutputEnergy.ofSample(MemorySegment.ofArray(group), tokens, groupSize).compact());
    }
    return energies;
  }

  /// Some rows, and the best limits so far.
  private static final class Chunk {
    private final CalibratedLayer layer;
    private final List<OutputEnergy> energies;
    private final int rows;
    private final int columns;
    private final int groupSize;
    private final float[] weight;
    private final float[] absmax;
    private final float[] best;
    private final double[] least;

    Chunk(CalibratedLayer layer, float[] scales, List<OutputEnergy> energies, int first, int rows) {
      this.layer = layer;
      this.energies = energies;
      this.rows = rows;
      this.columns = scales.length;
      this.groupSize = columns / energies.size();
      this.weight = new float[rows * columns];
      this.absmax = new float[rows * energies.size()];
      this.least = new double[absmax.length];
      layer.weight().read(first, rows, weight);
      for (int i = 0; i < weight.length; i++) {
        weight[i] *= scales[i % columns];
        absmax[i / groupSize] = Math.max(absmax[i / groupSize], Math.abs(weight[i]));
      }
      this.best = absmax.clone();
      Arrays.fill(least, Double.POSITIVE_INFINITY);
    }

    double loss() {
      return Arrays.stream(least).sum();
    }

    void attempt(float share) {
      float[] limits = new float[absmax.length];
      for (int i = 0; i < limits.length; i++) {
        limits[i] = absmax[i] * share;
      }
      float[] error = weight.clone();
      new ClipChoice(groupSize, limits, 0, 0).apply(0, rows, columns, error);
      RoundTrip.apply(layer.scheme(), rows, columns, error);
      for (int i = 0; i < error.length; i++) {
        error[i] -= weight[i];
      }
      float[] part = new float[rows * groupSize];
      for (int group = 0; group < energies.size(); group++) {
        for (int row = 0; row < rows; row++) {
          System.arraycopy(
              error, row * columns + group * groupSize, part, row * groupSize, groupSize);
        }
        double[] losses = energies.get(group).each(part, rows);
        for (int row = 0; row < rows; row++) {
          int at = row * energies.size() + group;
          if (losses[row] < least[at]) {
            least[at] = losses[row];
            best[at] = limits[at];
          }
        }
      }
    }
  }
}
