package dev.nibble.formats.internal.simd;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;

/// The kernels one number at a time: the reference for {@link VectorInt8Kernels}, and its tails.
final class ScalarInt8Kernels implements Int8Kernels {
  /// 1.5 * 2^23: a float of that size has no fraction bits, so adding it rounds to a whole number,
  /// ties to even, which then stands in the lower mantissa.
  static final float WHOLE = 0x1.8p23f;

  static final int WHOLE_BITS = 0x4b400000;

  /// Rounds to nearest even; right for magnitudes below 2^22, monotone for all.
  static int round(float value) {
    return Float.floatToRawIntBits(value + WHOLE) - WHOLE_BITS;
  }

  @Override
  public int absmaxBits(float[] x, int from, int to) {
    int max = 0;
    for (int i = from; i < to; i++) {
      max = Math.max(max, Float.floatToRawIntBits(x[i]) & 0x7fffffff);
    }
    return max;
  }

  @Override
  public long rangeBits(float[] x, int from, int to) {
    int high = 0;
    int low = 0;
    for (int i = from; i < to; i++) {
      int bits = Float.floatToRawIntBits(x[i]);
      high = Math.max(high, bits);
      low = Math.max(low, bits ^ 0x80000000);
    }
    return (long) high << 32 | low;
  }

  @Override
  public void throughHalf(float[] x, int from, int to, float[] target) {
    for (int i = from; i < to; i++) {
      target[i] = Float.float16ToFloat(ScalarFloats.toF16(x[i]));
    }
  }

  @Override
  public void divide(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error) {
    for (int i = from; i < to; i++) {
      int q = Math.clamp(round(x[i] / scale), -127, 127);
      codes.set(JAVA_BYTE, at + i - from, (byte) q);
      error.add(x[i], q * scale);
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
    for (int i = from; i < to; i++) {
      int q = Math.clamp(round(rounded[i] * factor), -127, 127);
      codes.set(JAVA_BYTE, at + i - from, (byte) q);
      error.add(x[i], q * first * second);
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
    for (int i = from; i < to; i++) {
      int q = Math.clamp(round(x[i] / scale) + zero, 0, largest);
      codes.set(JAVA_BYTE, at + i - from, (byte) q);
      error.add(x[i], (q - zero) * scale);
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
    for (int i = from; i < to; i++) {
      float scaled = Math.clamp(x[i] * inverse, -1f, 1f);
      byte code = table[(int) ((scaled + 1f) * 0.5f * 65535f + 0.5f)];
      codes.set(JAVA_BYTE, at + i - from, code);
      error.add(x[i], values[Byte.toUnsignedInt(code)] * absmax);
    }
  }

  @Override
  public void decodeSigned(
      MemorySegment codes, long at, float first, float second, float[] out, int from, int to) {
    for (int i = from; i < to; i++) {
      out[i] = codes.get(JAVA_BYTE, at + i - from) * first * second;
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
    for (int i = from; i < to; i++) {
      int q = Byte.toUnsignedInt(codes.get(JAVA_BYTE, at + i - from)) ^ flip;
      out[i] = (q - zero) * scale;
    }
  }

  @Override
  public void decodeLookUp(
      MemorySegment codes, long at, float[] values, float absmax, float[] out, int from, int to) {
    for (int i = from; i < to; i++) {
      out[i] = values[Byte.toUnsignedInt(codes.get(JAVA_BYTE, at + i - from))] * absmax;
    }
  }
}
