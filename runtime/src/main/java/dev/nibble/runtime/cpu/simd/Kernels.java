package dev.nibble.runtime.cpu.simd;

import dev.nibble.formats.internal.simd.Simd;

/// The inner loops. Every twin of a kernel gives the same bits, for sums run in the same order: a
/// result does not depend on which twin was warm, nor on how work was cut into tasks.
///
/// A *panel* holds up to {@link #panel()} rows of a matrix, transposed: element `[step][row]`, the
/// rows side by side, so that one vector holds one column of many rows. Its width is a multiple of
/// {@link #lanes()}, the rest padding. Stateless and safe for many threads.
///
/// Exponentials are a polynomial of degree 6 on `[-ln 2 / 2, ln 2 / 2]` (Cephes' `expf`) times a
/// power of two: within 2 units in the last place from -87.3 to 88.3, exactly 0 below.
public interface Kernels {
  /// Rows of the right operand that {@link #tile} takes at a time.
  int TILE = 6;

  /// Width of the widest panel.
  int panel();

  /// Widths of panels are multiples of this.
  int lanes();

  /// `c[r][j] += Σ x[s][j] · w[r][s]` over steps s in ascending order, each step one fused
  /// multiply-add, for {@link #TILE} rows r of w and all columns j of a panel.
  ///
  /// @param x panel `[steps][width]` at `xAt`
  /// @param w rows of `steps` elements, `wStride` apart, from `wAt`
  /// @param c `[TILE][width]` at `cAt`
  void tile(
      float[] x,
      int xAt,
      int width,
      int steps,
      float[] w,
      int wAt,
      int wStride,
      float[] c,
      int cAt);

  /// `to[j][i] = from[i][j]` for `rows` i and `columns` j.
  void transpose(
      float[] from,
      int fromAt,
      int fromStride,
      int rows,
      int columns,
      float[] to,
      int toAt,
      int toStride);

  /// One step of an online softmax for each column of a panel of scores, which become `exp(score -
  /// max)`, where `max` includes these scores. A column that has seen nothing but -∞ has zeros.
  ///
  /// @param scores `[keys][width]` at `at`
  /// @param state rows of `width` at `stateAt`: the largest score so far, the sum of the
  ///   exponentials so far, and as a result the factor that what was summed before must be
  ///   multiplied by
  void softmax(float[] scores, int at, int keys, int width, float[] state, int stateAt);

  /// `Σ a[i] · b[i]` in four vectors of partial sums, which are then added by halves.
  float dot(float[] a, int aAt, float[] b, int bAt, int count);

  /// `Σ a[i]`, in the order of {@link #dot}.
  float sum(float[] a, int at, int count);

  /// `Σ (a[i] - centre)²`, in the order of {@link #dot}.
  float squares(float[] a, int at, int count, float centre);

  /// `x / (1 + exp(-x))`.
  void silu(float[] x, int at, int count, float[] out, int outAt);

  /// `gate / (1 + exp(-gate)) · up`.
  void swiGlu(float[] gate, int gateAt, float[] up, int upAt, int count, float[] out, int outAt);

  /// The tanh form of GELU, as `x / (1 + exp(-2u))` with its `u = sqrt(2/π) · (x + 0.044715 x³)`.
  void gelu(float[] x, int at, int count, float[] out, int outAt);

  /// Hyperbolic tangent (Cephes' `tanhf`).
  void tanh(float[] x, int at, int count, float[] out, int outAt);

  /// The fastest kernels for this machine.
  static Kernels best() {
    return Simd.choose(Kernels::scalar, () -> new WarmingKernels(), Kernels::vector);
  }

  /// Kernels without vectors.
  static Kernels scalar() {
    return new ScalarKernels(ScalarKernels.LANES);
  }

  /// Kernels of the Vector API, which must be there; slow until compiled.
  static Kernels vector() {
    return new VectorKernels();
  }
}
