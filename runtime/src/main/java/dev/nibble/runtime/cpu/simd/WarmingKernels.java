package dev.nibble.runtime.cpu.simd;

/// {@link VectorKernels}, each method once {@link KernelWarmup} finds it compiled; {@link
/// ScalarKernels} until then.
final class WarmingKernels implements Kernels {
  private static final KernelWarmup WARMUP = started();

  private final VectorKernels vector = new VectorKernels();
  private final ScalarKernels scalar = new ScalarKernels(vector.lanes());

  private static KernelWarmup started() {
    KernelWarmup warmup = new KernelWarmup();
    warmup.start();
    return warmup;
  }

  @Override
  public int panel() {
    return vector.panel();
  }

  @Override
  public int lanes() {
    return vector.lanes();
  }

  @Override
  public void tile(
      float[] x,
      int xAt,
      int width,
      int steps,
      float[] w,
      int wAt,
      int wStride,
      float[] c,
      int cAt) {
    if (WARMUP.tiles[width / vector.lanes() - 1].isWarm()) {
      vector.tile(x, xAt, width, steps, w, wAt, wStride, c, cAt);
    } else {
      scalar.tile(x, xAt, width, steps, w, wAt, wStride, c, cAt);
    }
  }

  @Override
  public void transpose(
      float[] from,
      int fromAt,
      int fromStride,
      int rows,
      int columns,
      float[] to,
      int toAt,
      int toStride) {
    if (WARMUP.transpose.isWarm()) {
      vector.transpose(from, fromAt, fromStride, rows, columns, to, toAt, toStride);
    } else {
      scalar.transpose(from, fromAt, fromStride, rows, columns, to, toAt, toStride);
    }
  }

  @Override
  public void softmax(float[] scores, int at, int keys, int width, float[] state, int stateAt) {
    if (WARMUP.softmax.isWarm()) {
      vector.softmax(scores, at, keys, width, state, stateAt);
    } else {
      scalar.softmax(scores, at, keys, width, state, stateAt);
    }
  }

  @Override
  public float dot(float[] a, int aAt, float[] b, int bAt, int count) {
    return WARMUP.dot.isWarm()
        ? vector.dot(a, aAt, b, bAt, count)
        : scalar.dot(a, aAt, b, bAt, count);
  }

  @Override
  public float sum(float[] a, int at, int count) {
    return WARMUP.sum.isWarm() ? vector.sum(a, at, count) : scalar.sum(a, at, count);
  }

  @Override
  public float squares(float[] a, int at, int count, float centre) {
    return WARMUP.squares.isWarm()
        ? vector.squares(a, at, count, centre)
        : scalar.squares(a, at, count, centre);
  }

  @Override
  public void silu(float[] x, int at, int count, float[] out, int outAt) {
    if (WARMUP.silu.isWarm()) {
      vector.silu(x, at, count, out, outAt);
    } else {
      scalar.silu(x, at, count, out, outAt);
    }
  }

  @Override
  public void swiGlu(
      float[] gate, int gateAt, float[] up, int upAt, int count, float[] out, int outAt) {
    if (WARMUP.swiGlu.isWarm()) {
      vector.swiGlu(gate, gateAt, up, upAt, count, out, outAt);
    } else {
      scalar.swiGlu(gate, gateAt, up, upAt, count, out, outAt);
    }
  }

  @Override
  public void gelu(float[] x, int at, int count, float[] out, int outAt) {
    if (WARMUP.gelu.isWarm()) {
      vector.gelu(x, at, count, out, outAt);
    } else {
      scalar.gelu(x, at, count, out, outAt);
    }
  }

  @Override
  public void tanh(float[] x, int at, int count, float[] out, int outAt) {
    if (WARMUP.tanh.isWarm()) {
      vector.tanh(x, at, count, out, outAt);
    } else {
      scalar.tanh(x, at, count, out, outAt);
    }
  }
}
