package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import java.util.List;
import java.util.Optional;

/// Functions of elements that lie at the same place in every operand. The output is an array from
/// index 0.
final class Elementwise {
  private static final double CHEAP = 0.1;
  private static final double EXPONENTIAL = 0.6;

  private final Machine machine;

  Elementwise(Machine machine) {
    this.machine = machine;
  }

  void unary(Unary function, Tensor x, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    Kernels kernels = machine.kernels();
    machine.overRange(
        x.elements(),
        EXPONENTIAL,
        (begin, end) -> {
          switch (function) {
            case SILU -> kernels.silu(a, at + begin, end - begin, out, begin);
            case GELU_TANH -> kernels.gelu(a, at + begin, end - begin, out, begin);
            case TANH -> kernels.tanh(a, at + begin, end - begin, out, begin);
          }
        });
  }

  void swiGlu(Tensor gate, Tensor up, float[] out) {
    float[] g = CpuBuffer.array(gate);
    int gAt = CpuBuffer.offset(gate);
    float[] u = CpuBuffer.array(up);
    int uAt = CpuBuffer.offset(up);
    Kernels kernels = machine.kernels();
    machine.overRange(
        gate.elements(),
        EXPONENTIAL,
        (begin, end) -> kernels.swiGlu(g, gAt + begin, u, uAt + begin, end - begin, out, begin));
  }

  void affine(Tensor x, float factor, float addend, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    machine.overRange(
        x.elements(),
        CHEAP,
        (begin, end) -> {
          for (int i = begin; i < end; i++) {
            out[i] = a[at + i] * factor + addend;
          }
        });
  }

  void linearCombination(float[] coefficients, List<Tensor> terms, float[] out) {
    machine.overRange(
        terms.getFirst().elements(),
        CHEAP * terms.size(),
        (begin, end) -> {
          for (int t = 0; t < coefficients.length; t++) {
            float[] a = CpuBuffer.array(terms.get(t));
            int at = CpuBuffer.offset(terms.get(t));
            if (t == 0) {
              scaleInto(a, at, coefficients[t], out, begin, end);
            } else {
              addScaled(a, at, coefficients[t], out, begin, end);
            }
          }
        });
  }

  private static void scaleInto(float[] a, int at, float factor, float[] out, int begin, int end) {
    for (int i = begin; i < end; i++) {
      out[i] = factor * a[at + i];
    }
  }

  private static void addScaled(float[] a, int at, float factor, float[] out, int begin, int end) {
    for (int i = begin; i < end; i++) {
      out[i] += factor * a[at + i];
    }
  }

  /// `x · (1 + scale) + shift`, scale and shift one row for each item of the batch.
  ///
  /// @param rows rows of x that share a row of scale and shift
  /// @param d elements of a row
  void modulate(Tensor x, Tensor scale, Optional<Tensor> shift, int rows, int d, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    float[] s = CpuBuffer.array(scale);
    int sAt = CpuBuffer.offset(scale);
    boolean shifts = shift.isPresent();
    float[] t = CpuBuffer.array(shift.orElse(scale));
    int tAt = CpuBuffer.offset(shift.orElse(scale));
    machine.overRange(
        x.elements() / d,
        CHEAP * d,
        (begin, end) -> {
          for (int row = begin; row < end; row++) {
            int item = row / rows * d;
            if (shifts) {
              modulateRow(a, at + row * d, s, sAt + item, t, tAt + item, out, row * d, d);
            } else {
              scaleRow(a, at + row * d, s, sAt + item, out, row * d, d);
            }
          }
        });
  }

  private static void modulateRow(
      float[] x,
      int xAt,
      float[] scale,
      int scaleAt,
      float[] shift,
      int shiftAt,
      float[] out,
      int outAt,
      int d) {
    for (int i = 0; i < d; i++) {
      out[outAt + i] = x[xAt + i] * (scale[scaleAt + i] + 1) + shift[shiftAt + i];
    }
  }

  private static void scaleRow(
      float[] x, int xAt, float[] scale, int scaleAt, float[] out, int outAt, int d) {
    for (int i = 0; i < d; i++) {
      out[outAt + i] = x[xAt + i] * (scale[scaleAt + i] + 1);
    }
  }

  /// `x + gate · y`, the gate one row for each item of the batch.
  void addGated(Tensor x, Tensor gate, Tensor y, int rows, int d, float[] out) {
    float[] a = CpuBuffer.array(x);
    int aAt = CpuBuffer.offset(x);
    float[] g = CpuBuffer.array(gate);
    int gAt = CpuBuffer.offset(gate);
    float[] b = CpuBuffer.array(y);
    int bAt = CpuBuffer.offset(y);
    machine.overRange(
        x.elements() / d,
        CHEAP * d,
        (begin, end) -> {
          for (int row = begin; row < end; row++) {
            int at = row * d;
            addGatedRow(a, aAt + at, g, gAt + row / rows * d, b, bAt + at, out, at, d);
          }
        });
  }

  private static void addGatedRow(
      float[] x,
      int xAt,
      float[] gate,
      int gateAt,
      float[] y,
      int yAt,
      float[] out,
      int outAt,
      int d) {
    for (int i = 0; i < d; i++) {
      out[outAt + i] = x[xAt + i] + gate[gateAt + i] * y[yAt + i];
    }
  }
}
