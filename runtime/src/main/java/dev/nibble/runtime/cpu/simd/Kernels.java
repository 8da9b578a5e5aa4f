package dev.nibble.runtime.cpu.simd;

import dev.nibble.formats.internal.simd.Simd;

/// The inner loops. Every twin of a kernel gives the same bits, for sums run in the same order: a
/// result does not depend on which twin was warm, nor on how work was cut into tasks.
///
/// A *panel* holds up to {@link #panel()} rows of a matrix, transposed: element `[step][row]`, the
/// rows side by side, so that one vector holds one column of many rows. Its width is a multiple of
/// {@link #lanes()}, the rest padding. Stateless and safe for many threads.
public interface Kernels {
  /// Rows of the right operand that {@link #tile} takes at a time.
  int TILE = 6;

  /// Partial sums of a {@link #dot}.
  int SUMS = 64;

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

  /// `to[j][i] = from[i][j]`.
  void transpose(
      float[] from,
      int fromAt,
      int fromStride,
      int rows,
      int columns,
      float[] to,
      int toAt,
      int toStride);

  /// `Σ a[i] · b[i]` in {@link #SUMS} partial sums, element i in sum `i mod SUMS`, then added by
  /// halves.
  float dot(float[] a, int aAt, float[] b, int bAt, int count);

  /// The fastest kernels for this machine.
  static Kernels best() {
    return Simd.choose(ScalarKernels::new, WarmingKernels::new, () -> new VectorKernels());
  }
}
