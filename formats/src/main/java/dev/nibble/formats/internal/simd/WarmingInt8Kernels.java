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
    return ABSMAX.isWarm()
        ? vector.absmaxBits(x, from, to)
        : ABSMAX.call(
            to - from, () -> vector.absmaxBits(x, from, to), () -> scalar.absmaxBits(x, from, to));
  }

  @Override
  public long rangeBits(float[] x, int from, int to) {
    return RANGE.isWarm()
        ? vector.rangeBits(x, from, to)
        : RANGE.call(
            to - from, () -> vector.rangeBits(x, from, to), () -> scalar.rangeBits(x, from, to));
  }

  @Override
  public void throughHalf(float[] x, int from, int to, float[] target) {
    if (HALF.isWarm()) {
      vector.throughHalf(x, from, to, target);
    } else {
      HALF.run(
          to - from,
          () -> vector.throughHalf(x, from, to, target),
          () -> scalar.throughHalf(x, from, to, target));
    }
  }

  @Override
  public void divide(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error) {
    if (DIVIDE.isWarm()) {
      vector.divide(x, from, to, scale, codes, at, error);
    } else {
      DIVIDE.run(
          to - from,
          () -> vector.divide(x, from, to, scale, codes, at, error),
          () -> scalar.divide(x, from, to, scale, codes, at, error));
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
    } else {
      MULTIPLY.run(
          to - from,
          () -> vector.multiply(x, rounded, from, to, factor, first, second, codes, at, error),
          () -> scalar.multiply(x, rounded, from, to, factor, first, second, codes, at, error));
    }
  }

  @Override
  public void affine(
      float[] x,
      int from,
      int to,
      float scale,
      int zero,
      int largest,
      MemorySegment codes,
      long at,
      ErrorSum error) {
    if (AFFINE.isWarm()) {
      vector.affine(x, from, to, scale, zero, largest, codes, at, error);
    } else {
      AFFINE.run(
          to - from,
          () -> vector.affine(x, from, to, scale, zero, largest, codes, at, error),
          () -> scalar.affine(x, from, to, scale, zero, largest, codes, at, error));
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
    } else {
      LOOK_UP.run(
          to - from,
          () -> vector.lookUp(x, from, to, inverse, absmax, table, values, work, codes, at, error),
          () -> scalar.lookUp(x, from, to, inverse, absmax, table, values, work, codes, at, error));
    }
  }

  @Override
  public void decodeSigned(
      MemorySegment codes, long at, float first, float second, float[] out, int from, int to) {
    if (DECODE_SIGNED.isWarm()) {
      vector.decodeSigned(codes, at, first, second, out, from, to);
    } else {
      DECODE_SIGNED.run(
          to - from,
          () -> vector.decodeSigned(codes, at, first, second, out, from, to),
          () -> scalar.decodeSigned(codes, at, first, second, out, from, to));
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
    } else {
      DECODE_AFFINE.run(
          to - from,
          () -> vector.decodeAffine(codes, at, flip, zero, scale, out, from, to),
          () -> scalar.decodeAffine(codes, at, flip, zero, scale, out, from, to));
    }
  }

  @Override
  public void decodeLookUp(
      MemorySegment codes, long at, float[] values, float absmax, float[] out, int from, int to) {
    if (DECODE_LOOK_UP.isWarm()) {
      vector.decodeLookUp(codes, at, values, absmax, out, from, to);
    } else {
      DECODE_LOOK_UP.run(
          to - from,
          () -> vector.decodeLookUp(codes, at, values, absmax, out, from, to),
          () -> scalar.decodeLookUp(codes, at, values, absmax, out, from, to));
    }
  }
}
