package dev.nibble.runtime.cpu;

import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.Binary;
import dev.nibble.runtime.tensor.Tensor;

/// A function of two tensors whose shapes are aligned at the last axis: adjacent axes that both
/// operands walk alike become one, and the last is an inner loop.
final class Broadcast {
  private static final double COST = 0.1;

  private final Shape shape;
  private final int rank;
  private final int[] sizes;
  private final int[] strideA;
  private final int[] strideB;

  /// @throws IllegalArgumentException if the shapes do not fit
  Broadcast(Binary function, Shape a, Shape b) {
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

  /// Of the result.
  Shape shape() {
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

  void run(Machine machine, Binary function, Tensor a, Tensor b, float[] out) {
    float[] x = CpuBuffer.array(a);
    int xAt = CpuBuffer.offset(a);
    float[] y = CpuBuffer.array(b);
    int yAt = CpuBuffer.offset(b);
    int inner = sizes[0];
    if (shape.elements() == 0) {
      return;
    }
    if (rank == 1) {
      machine.overRange(
          inner,
          COST,
          (begin, end) ->
              row(
                  function,
                  x,
                  xAt + begin * strideA[0],
                  y,
                  yAt + begin * strideB[0],
                  out,
                  begin,
                  end - begin));
      return;
    }
    machine.overRange(
        (int) (shape.elements() / inner),
        COST * inner + 2,
        (begin, end) -> {
          for (int i = begin; i < end; i++) {
            int fromX = xAt;
            int fromY = yAt;
            int rest = i;
            for (int axis = 1; axis < rank; axis++) {
              int index = rest % sizes[axis];
              rest /= sizes[axis];
              fromX += index * strideA[axis];
              fromY += index * strideB[axis];
            }
            row(function, x, fromX, y, fromY, out, i * inner, inner);
          }
        });
  }

  private void row(
      Binary function, float[] x, int xAt, float[] y, int yAt, float[] out, int at, int count) {
    if (strideA[0] == 0) {
      scalarFirst(function, x[xAt], y, yAt, out, at, count);
    } else if (strideB[0] == 0) {
      scalarSecond(function, x, xAt, y[yAt], out, at, count);
    } else {
      both(function, x, xAt, y, yAt, out, at, count);
    }
  }

  private static void both(
      Binary function, float[] x, int xAt, float[] y, int yAt, float[] out, int at, int count) {
    switch (function) {
      case ADD -> {
        for (int i = 0; i < count; i++) {
          out[at + i] = x[xAt + i] + y[yAt + i];
        }
      }
      case SUB -> {
        for (int i = 0; i < count; i++) {
          out[at + i] = x[xAt + i] - y[yAt + i];
        }
      }
      case MUL -> {
        for (int i = 0; i < count; i++) {
          out[at + i] = x[xAt + i] * y[yAt + i];
        }
      }
      case DIV -> {
        for (int i = 0; i < count; i++) {
          out[at + i] = x[xAt + i] / y[yAt + i];
        }
      }
    }
  }

  private void scalarFirst(
      Binary function, float x, float[] y, int yAt, float[] out, int at, int count) {
    int step = strideB[0];
    for (int i = 0; i < count; i++) {
      float v = y[yAt + i * step];
      out[at + i] =
          switch (function) {
            case ADD -> x + v;
            case SUB -> x - v;
            case MUL -> x * v;
            case DIV -> x / v;
          };
    }
  }

  private static void scalarSecond(
      Binary function, float[] x, int xAt, float y, float[] out, int at, int count) {
    switch (function) {
      case ADD -> {
        for (int i = 0; i < count; i++) {
          out[at + i] = x[xAt + i] + y;
        }
      }
      case SUB -> {
        for (int i = 0; i < count; i++) {
          out[at + i] = x[xAt + i] - y;
        }
      }
      case MUL -> {
        for (int i = 0; i < count; i++) {
          out[at + i] = x[xAt + i] * y;
        }
      }
      case DIV -> {
        for (int i = 0; i < count; i++) {
          out[at + i] = x[xAt + i] / y;
        }
      }
    }
  }
}
