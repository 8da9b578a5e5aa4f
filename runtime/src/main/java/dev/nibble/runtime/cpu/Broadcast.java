package dev.nibble.runtime.cpu;

import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.Binary;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.shape.BroadcastAxes;

/// A function of two tensors whose shapes are aligned at the last axis; the innermost axis is an
/// inner loop.
final class Broadcast {
  private static final double COST = 0.1;

  private final BroadcastAxes axes;
  private final int[] sizes;
  private final int[] strideA;
  private final int[] strideB;

  /// @throws IllegalArgumentException if the shapes do not fit
  Broadcast(Binary function, Shape a, Shape b) {
    axes = new BroadcastAxes(function, a, b);
    sizes = axes.sizes();
    strideA = axes.strideA();
    strideB = axes.strideB();
  }

  /// Of the result.
  Shape shape() {
    return axes.shape();
  }

  void run(Machine machine, Binary function, Tensor a, Tensor b, float[] out) {
    float[] x = CpuBuffer.array(a);
    int xAt = CpuBuffer.offset(a);
    float[] y = CpuBuffer.array(b);
    int yAt = CpuBuffer.offset(b);
    int inner = sizes[0];
    if (axes.shape().elements() == 0) {
      return;
    }
    if (axes.rank() == 1) {
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
        (int) (axes.shape().elements() / inner),
        COST * inner + 2,
        (begin, end) -> {
          for (int i = begin; i < end; i++) {
            int fromX = xAt;
            int fromY = yAt;
            int rest = i;
            for (int axis = 1; axis < axes.rank(); axis++) {
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
