package dev.nibble.formats.internal.simd;

import java.lang.foreign.MemorySegment;

/// {@link VectorInt8Kernels}, each method once {@link Warmup} finds it compiled; {@link
/// ScalarInt8Kernels} until then.
final class WarmingInt8Kernels implements Int8Kernels {
  private static final Warmup ABSMAX = new Warmup();
  private static final Warmup RANGE = new Warmup();
  private static final Warmup HALF = new Warmup();
  private static final Warmup DIVIDE = new Warmup();
  private static final Warmup MULTIPLY = new Warmup();
  private static final Warmup AFFINE = new Warmup();
  private static final Warmup LOOK_UP = new Warmup();
  private static final Warmup DECODE_SIGNED = new Warmup();
  private static final Warmup DECODE_AFFINE = new Warmup();
  private static final Warmup DECODE_LOOK_UP = new Warmup();

  private final VectorInt8Kernels vector = new VectorInt8Kernels();
  private final ScalarInt8Kernels scalar = new ScalarInt8Kernels();

  @Override
  public int absmaxBits(float[] x, int from, int to) {
    if (ABSMAX.isWarm()) {
      return vector.absmaxBits(x, from, to);
    }
    boolean tries = ABSMAX.shallTry();
    long start = System.nanoTime();
    if (tries) {
      int result = vector.absmaxBits(x, from, to);
      ABSMAX.tried(start, to - from);
      return result;
    }
    int result = scalar.absmaxBits(x, from, to);
    ABSMAX.ranScalar(start, to - from);
    return result;
  }

  @Override
  public long rangeBits(float[] x, int from, int to) {
    if (RANGE.isWarm()) {
      return vector.rangeBits(x, from, to);
    }
    boolean tries = RANGE.shallTry();
    long start = System.nanoTime();
    if (tries) {
      long result = vector.rangeBits(x, from, to);
      RANGE.tried(start, to - from);
      return result;
    }
    long result = scalar.rangeBits(x, from, to);
    RANGE.ranScalar(start, to - from);
    return result;
  }

  @Override
  public void throughHalf(float[] x, int from, int to, float[] target) {
    if (HALF.isWarm()) {
      vector.throughHalf(x, from, to, target);
      return;
    }
    boolean tries = HALF.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.throughHalf(x, from, to, target);
      HALF.tried(start, to - from);
    } else {
      scalar.throughHalf(x, from, to, target);
      HALF.ranScalar(start, to - from);
    }
  }

  @Override
  public void divide(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error) {
    if (DIVIDE.isWarm()) {
      vector.divide(x, from, to, scale, codes, at, error);
      return;
    }
    boolean tries = DIVIDE.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.divide(x, from, to, scale, codes, at, error);
      DIVIDE.tried(start, to - from);
    } else {
      scalar.divide(x, from, to, scale, codes, at, error);
      DIVIDE.ranScalar(start, to - from);
    }
  }

  @Override
  public void multiply(
      float[] x,
      float[] rounded,
      int from,
      int to,
      float factor,
      float first,
      float second,
      MemorySegment codes,
      long at,
      ErrorSum error) {
    if (MULTIPLY.isWarm()) {
      vector.multiply(x, rounded, from, to, factor, first, second, codes, at, error);
      return;
    }
    boolean tries = MULTIPLY.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.multiply(x, rounded, from, to, factor, first, second, codes, at, error);
      MULTIPLY.tried(start, to - from);
    } else {
      scalar.multiply(x, rounded, from, to, factor, first, second, codes, at, error);
      MULTIPLY.ranScalar(start, to - from);
    }
  }

  @Override
  public void affine(
      float[] x,
      int from,
      int to,
      float scale,
      int zero,
      MemorySegment codes,
      long at,
      ErrorSum error) {
    if (AFFINE.isWarm()) {
      vector.affine(x, from, to, scale, zero, codes, at, error);
      return;
    }
    boolean tries = AFFINE.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.affine(x, from, to, scale, zero, codes, at, error);
      AFFINE.tried(start, to - from);
    } else {
      scalar.affine(x, from, to, scale, zero, codes, at, error);
      AFFINE.ranScalar(start, to - from);
    }
  }

  @Override
  public void lookUp(
      float[] x,
      int from,
      int to,
      float inverse,
      float absmax,
      byte[] table,
      float[] values,
      DecodedWork work,
      MemorySegment codes,
      long at,
      ErrorSum error) {
    if (LOOK_UP.isWarm()) {
      vector.lookUp(x, from, to, inverse, absmax, table, values, work, codes, at, error);
      return;
    }
    boolean tries = LOOK_UP.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.lookUp(x, from, to, inverse, absmax, table, values, work, codes, at, error);
      LOOK_UP.tried(start, to - from);
    } else {
      scalar.lookUp(x, from, to, inverse, absmax, table, values, work, codes, at, error);
      LOOK_UP.ranScalar(start, to - from);
    }
  }

  @Override
  public void decodeSigned(
      MemorySegment codes, long at, float first, float second, float[] out, int from, int to) {
    if (DECODE_SIGNED.isWarm()) {
      vector.decodeSigned(codes, at, first, second, out, from, to);
      return;
    }
    boolean tries = DECODE_SIGNED.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.decodeSigned(codes, at, first, second, out, from, to);
      DECODE_SIGNED.tried(start, to - from);
    } else {
      scalar.decodeSigned(codes, at, first, second, out, from, to);
      DECODE_SIGNED.ranScalar(start, to - from);
    }
  }

  @Override
  public void decodeAffine(
      MemorySegment codes,
      long at,
      int flip,
      int zero,
      float scale,
      float[] out,
      int from,
      int to) {
    if (DECODE_AFFINE.isWarm()) {
      vector.decodeAffine(codes, at, flip, zero, scale, out, from, to);
      return;
    }
    boolean tries = DECODE_AFFINE.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.decodeAffine(codes, at, flip, zero, scale, out, from, to);
      DECODE_AFFINE.tried(start, to - from);
    } else {
      scalar.decodeAffine(codes, at, flip, zero, scale, out, from, to);
      DECODE_AFFINE.ranScalar(start, to - from);
    }
  }

  @Override
  public void decodeLookUp(
      MemorySegment codes, long at, float[] values, float absmax, float[] out, int from, int to) {
    if (DECODE_LOOK_UP.isWarm()) {
      vector.decodeLookUp(codes, at, values, absmax, out, from, to);
      return;
    }
    boolean tries = DECODE_LOOK_UP.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.decodeLookUp(codes, at, values, absmax, out, from, to);
      DECODE_LOOK_UP.tried(start, to - from);
    } else {
      scalar.decodeLookUp(codes, at, values, absmax, out, from, to);
      DECODE_LOOK_UP.ranScalar(start, to - from);
    }
  }
}
