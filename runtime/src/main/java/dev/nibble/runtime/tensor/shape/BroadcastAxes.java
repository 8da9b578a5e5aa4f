package dev.nibble.runtime.tensor.shape;

import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.Binary;

/// The walk over two tensors whose shapes are aligned at the last axis: adjacent axes that both
/// operands walk alike become one.
public final class BroadcastAxes {
  private final Shape shape;
  private final int rank;
  private final int[] sizes;
  private final int[] strideA;
  private final int[] strideB;

  /// @throws IllegalArgumentException if the shapes do not fit
  public BroadcastAxes(Binary function, Shape a, Shape b) {
    int axes = Math.max(a.rank(), b.rank());
    long[] dims = new long[axes];
    int[] stepA = new int[axes];
    int[] stepB = new int[axes];
    int sizeA = 1;
    int sizeB = 1;
    for (int i = 1; i <= axes; i++) {
      int da = i > a.rank() ? 1 : Math.toIntExact(a.dim(a.rank() - i));
      int db = i > b.rank() ? 1 : Math.toIntExact(b.dim(b.rank() - i));
      if (da != db && da != 1 && db != 1) {
        throw new IllegalArgumentException(
            "%s of %s and %s: axis %d from the end fits neither".formatted(function, a, b, i));
      }
      dims[axes - i] = da == 1 ? db : da;
      stepA[axes - i] = da == 1 ? 0 : sizeA;
      stepB[axes - i] = db == 1 ? 0 : sizeB;
      sizeA *= da;
      sizeB *= db;
    }
    shape = Shape.of(dims);
    sizes = new int[axes + 1];
    strideA = new int[axes + 1];
    strideB = new int[axes + 1];
    rank = merge(dims, stepA, stepB);
  }

  /// Shape of the result.
  public Shape shape() {
    return shape;
  }

  /// From the last axis to the first: an axis joins the one inside it where both operands go on
  /// where that one ends. Index 0 becomes the innermost.
  private int merge(long[] dims, int[] stepA, int[] stepB) {
    int last = 0;
    sizes[0] = 1;
    for (int i = dims.length - 1; i >= 0; i--) {
      int size = (int) dims[i];
      if (size == 1) {
        continue;
      }
      if (sizes[last] == 1) {
        sizes[last] = size;
        strideA[last] = stepA[i];
        strideB[last] = stepB[i];
      } else if (stepA[i] == strideA[last] * sizes[last]
          && stepB[i] == strideB[last] * sizes[last]) {
        sizes[last] *= size;
      } else {
        last++;
        sizes[last] = size;
        strideA[last] = stepA[i];
        strideB[last] = stepB[i];
      }
    }
    return last + 1;
  }

  /// Number of axes after merging, at least 1.
  public int rank() {
    return rank;
  }

  /// Sizes of the axes, the innermost first; not copied.
  public int[] sizes() {
    return sizes;
  }

  /// Steps of the first operand along the axes, 0 where it is repeated; not copied.
  public int[] strideA() {
    return strideA;
  }

  /// Steps of the second operand.
  public int[] strideB() {
    return strideB;
  }
}
