package dev.nibble.runtime.calibration;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Some rows of all that go by, each equally likely to stay (Vitter's algorithm R, 1985). Which
/// rows stay follows from their numbers and the input's name alone, so a run that goes on where
/// another stopped picks the same.
final class RowSample {
  /// From this share of a call's rows on, all are fetched at once: each fetch waits for the device.
  private static final int FEW = 8;

  private final int features;
  private final int most;
  private final long seed;
  private float[] rows;

  /// @param most rows to keep
  RowSample(String name, int features, int most) {
    this.features = features;
    this.most = most;
    this.seed = name.hashCode();
    this.rows = new float[0];
  }

  /// The rows so far, `[min(most, seen), features]`.
  float[] rows() {
    return rows.clone();
  }

  /// Goes on from earlier rows.
  void restore(float[] earlier) {
    rows = earlier.clone();
  }

  /// @param row number of the row of x that stays
  /// @param slot where it stays
  private record Pick(int row, int slot) {}

  /// Looks at the rows of x.
  ///
  /// @param seen rows before
  /// @param x `[rows, features]`
  void add(long seen, Tensor x, Ops ops) {
    List<Pick> picks = picks(seen, x.dim(0));
    int kept = (int) Math.min(most, seen + x.dim(0));
    if (rows.length < kept * features) {
      rows = Arrays.copyOf(rows, kept * features);
    }
    float[] all = picks.size() > x.dim(0) / FEW ? ops.toHost(x) : new float[0];
    for (Pick pick : picks) {
      boolean isFetched = all.length > 0;
      float[] from = isFetched ? all : ops.toHost(x.rows(pick.row(), pick.row() + 1L));
      int at = isFetched ? pick.row() * features : 0;
      System.arraycopy(from, at, rows, pick.slot() * features, features);
    }
  }

  private List<Pick> picks(long seen, int count) {
    List<Pick> picks = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      long number = seen + i;
      long slot = number < most ? number : Long.remainderUnsigned(mixed(number), number + 1);
      if (slot < most) {
        picks.add(new Pick(i, (int) slot));
      }
    }
    return picks;
  }

  /// SplitMix64 (Steele, Lea and Flood, 2014).
  private long mixed(long number) {
    long z = seed + (number + 1) * 0x9e3779b97f4a7c15L;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
