package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;

/// What stands beside the residual of a {@link SvdQuant} weight `[out, in]`, as it is stored: the
/// input scale, and `up·down` in BF16. Says what is left for the residual, and puts the two
/// together again. Immutable.
public final class SvdBranch {
  /// The parts that a branch is stored in.
  static final Set<Part> PARTS = Set.of(Part.INPUT_SCALE, Part.LOW_RANK_UP, Part.LOW_RANK_DOWN);

  /// Ranks that are added in one pass over a row.
  private static final int AT_ONCE = 4;

  private final int rows;
  private final int columns;
  private final int rank;
  private final float[] scale;
  private final float[] up;

  /// Rows of the right factor.
  private final float[][] down;

  /// @param down `[rank, in]`, row-major
  private SvdBranch(int rows, int columns, int rank, float[] scale, float[] up, float[] down) {
    this.rows = rows;
    this.columns = columns;
    this.rank = rank;
    this.scale = scale;
    this.up = up;
    this.down = new float[rank][];
    for (int k = 0; k < rank; k++) {
      this.down[k] = Arrays.copyOfRange(down, k * columns, (k + 1) * columns);
    }
  }

  /// A branch that an algorithm has found. All numbers are rounded to BF16: the scales too, which
  /// other tools keep in 16 bits; what follows must be computed from those that this branch gives
  /// back.
  ///
  /// @param inputScale `[in]`, above 0
  /// @param up `[out, rank]`, row-major; empty for rank 0
  /// @param down `[rank, in]`, row-major; empty for rank 0
  /// @throws IllegalArgumentException if the sizes do not fit, or a scale is not above 0 and finite
  public static SvdBranch of(Shape weight, float[] inputScale, float[] up, float[] down) {
    int rows = Math.toIntExact(weight.dim(0));
    int columns = Math.toIntExact(weight.dim(1));
    int rank = up.length / rows;
    if (inputScale.length != columns
        || up.length != (long) rank * rows
        || down.length != (long) rank * columns) {
      throw new IllegalArgumentException(
          "a branch of %d scales, up %d, down %d does not fit a weight %s"
              .formatted(inputScale.length, up.length, down.length, weight));
    }
    float[] scale = rounded(inputScale);
    for (int i = 0; i < columns; i++) {
      if (!(scale[i] > 0 && Float.isFinite(scale[i]))) {
        throw new IllegalArgumentException(
            "the scale of input %d is %s, not above 0".formatted(i, inputScale[i]));
      }
    }
    return new SvdBranch(rows, columns, rank, scale, rounded(up), rounded(down));
  }

  /// The branch of a weight.
  ///
  /// @param tensor of a {@link SvdQuant} scheme; copied
  public static SvdBranch of(QuantizedTensor tensor) {
    int rank = ((SvdQuant) tensor.scheme()).rank();
    int rows = Math.toIntExact(tensor.shape().dim(0));
    int columns = Math.toIntExact(tensor.shape().dim(1));
    float[] scale = new float[columns];
    FloatReader.of(DType.F32).read(tensor.part(Part.INPUT_SCALE), 0, scale, columns);
    float[] up = new float[Math.multiplyExact(rows, rank)];
    float[] down = new float[Math.multiplyExact(rank, columns)];
    if (rank > 0) {
      FloatReader reader = FloatReader.of(DType.BF16);
      reader.read(tensor.part(Part.LOW_RANK_UP), 0, up, up.length);
      reader.read(tensor.part(Part.LOW_RANK_DOWN), 0, down, down.length);
    }
    return new SvdBranch(rows, columns, rank, scale, up, down);
  }

  /// The numbers of BF16 that are nearest, in a new array: what is stored of a branch.
  public static float[] rounded(float[] values) {
    float[] result = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      result[i] = ScaleType.round(values[i], DType.BF16);
    }
    return result;
  }

  /// Columns of up, rows of down.
  public int rank() {
    return rank;
  }

  /// What each input is divided by, `[in]`; a copy.
  public float[] inputScale() {
    return scale.clone();
  }

  /// `[out, rank]`, row-major; a copy.
  public float[] up() {
    return up.clone();
  }

  /// `[rank, in]`, row-major; a copy.
  public float[] down() {
    float[] all = new float[rank * columns];
    for (int k = 0; k < rank; k++) {
      System.arraycopy(down[k], 0, all, k * columns, columns);
    }
    return all;
  }

  /// Turns elements of the weight W into what the residual has to hold, `W·diag(s) - up·down`, in
  /// place.
  ///
  /// @param first index of the first in the row-major weight; any
  /// @param values `count` elements from index `at` on
  public void toResidual(long first, float[] values, int at, int count) {
    overRows(
        first,
        values,
        at,
        count,
        new float[columns],
        (row, from, to, part) -> {
          for (int i = from; i < to; i++) {
            part[i] *= scale[i];
          }
          addLowRank(row, from, to, part, -1);
        });
  }

  /// Turns elements of the residual R into those of the weight, `(R + up·down) / s`, in place.
  ///
  /// @param first index of the first in the row-major weight; any
  /// @param values `count` elements from index `at` on
  public void toWeight(long first, float[] values, int at, int count) {
    toWeight(first, values, at, count, new float[columns]);
  }

  /// @param scratch of a row's length or more
  void toWeight(long first, float[] values, int at, int count, float[] scratch) {
    overRows(
        first,
        values,
        at,
        count,
        scratch,
        (row, from, to, part) -> {
          addLowRank(row, from, to, part, 1);
          for (int i = from; i < to; i++) {
            part[i] /= scale[i];
          }
        });
  }

  /// Sum of the squares of a row of `W·diag(s)`.
  ///
  /// @param values a row of W from index `at` on
  double squares(float[] values, int at) {
    double sum = 0;
    for (int i = 0; i < columns; i++) {
      double value = (double) values[at + i] * scale[i];
      sum += value * value;
    }
    return sum;
  }

  /// Columns `[from, to)` of one row, at those indices of `part`.
  @FunctionalInterface
  private interface Stretch {
    void change(int row, int from, int to, float[] part);
  }

  /// Changes elements row by row. They are copied to where a row of the low rank has its own: loops
  /// over arrays with one index are those that Java turns into vector instructions.
  private void overRows(
      long first, float[] values, int at, int count, float[] part, Stretch stretch) {
    if (first < 0 || count < 0 || first > (long) rows * columns - count) {
      throw new IllegalArgumentException(
          "%d elements at %d do not fit a weight [%d, %d]".formatted(count, first, rows, columns));
    }
    int done = 0;
    while (done < count) {
      int row = (int) ((first + done) / columns);
      int from = (int) ((first + done) % columns);
      int length = Math.min(count - done, columns - from);
      System.arraycopy(values, at + done, part, from, length);
      stretch.change(row, from, from + length, part);
      System.arraycopy(part, from, values, at + done, length);
      done += length;
    }
  }

  /// Adds `sign · up·down` in the order of the ranks, some to each pass: Java adds from left to
  /// right, so the passes change nothing but the traffic.
  private void addLowRank(int row, int from, int to, float[] out, int sign) {
    int k = 0;
    for (; k + AT_ONCE <= rank; k += AT_ONCE) {
      int u = row * rank + k;
      addFour(
          from,
          to,
          out,
          sign * up[u],
          down[k],
          sign * up[u + 1],
          down[k + 1],
          sign * up[u + 2],
          down[k + 2],
          sign * up[u + 3],
          down[k + 3]);
    }
    for (; k < rank; k++) {
      addOne(from, to, out, sign * up[row * rank + k], down[k]);
    }
  }

  private static void addFour(
      int from,
      int to,
      float[] out,
      float u0,
      float[] d0,
      float u1,
      float[] d1,
      float u2,
      float[] d2,
      float u3,
      float[] d3) {
    for (int i = from; i < to; i++) {
      out[i] = out[i] + u0 * d0[i] + u1 * d1[i] + u2 * d2[i] + u3 * d3[i];
    }
  }

  private static void addOne(int from, int to, float[] out, float u, float[] d) {
    for (int i = from; i < to; i++) {
      out[i] += u * d[i];
    }
  }

  /// The parts of a weight that hold the branch.
  public Map<Part, MemorySegment> parts(SegmentAllocator memory) {
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    MemorySegment scales = memory.allocate(4L * columns, 4);
    MemorySegment.copy(scale, 0, scales, LittleEndian.FLOAT, 0, columns);
    parts.put(Part.INPUT_SCALE, scales);
    if (rank > 0) {
      parts.put(Part.LOW_RANK_UP, narrow(up, memory));
      parts.put(Part.LOW_RANK_DOWN, narrow(down(), memory));
    }
    return parts;
  }

  private static MemorySegment narrow(float[] values, SegmentAllocator memory) {
    MemorySegment bytes = memory.allocate(2L * values.length, 2);
    for (int i = 0; i < values.length; i++) {
      ScaleType.set(bytes, i, values[i], DType.BF16);
    }
    return bytes;
  }

  void require(Shape weight, int wanted) {
    if (weight.dim(0) != rows || weight.dim(1) != columns || rank != wanted) {
      throw new IllegalArgumentException(
          "a branch of rank %d for [%d, %d] where %s wants rank %d"
              .formatted(rank, rows, columns, weight, wanted));
    }
  }
}
