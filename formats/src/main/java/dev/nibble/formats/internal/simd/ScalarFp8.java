package dev.nibble.formats.internal.simd;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;

/// One number at a time: the reference for {@link VectorFp8}, and its tails.
final class ScalarFp8 implements Fp8Kernel {
  private final boolean e4m3;
  private final float[] values = new float[256];

  ScalarFp8(DType type) {
    if (type != DType.F8_E4M3 && type != DType.F8_E5M2) {
      throw new IllegalArgumentException(type + " is not an 8-bit float that nibble writes");
    }
    this.e4m3 = type == DType.F8_E4M3;
    byte[] codes = new byte[256];
    for (int code = 0; code < 256; code++) {
      codes[code] = (byte) code;
    }
    ScalarFloats.reader(type).read(MemorySegment.ofArray(codes), 0, values, 256);
  }

  @Override
  public void encode(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error) {
    // A scale of zero is that of zeros, and of numbers too small for one.
    float divisor = scale == 0 ? Float.POSITIVE_INFINITY : scale;
    for (int i = from; i < to; i++) {
      float scaled = x[i] / divisor;
      byte code = e4m3 ? ScalarFloats.toE4m3(scaled) : ScalarFloats.toE5m2(scaled);
      codes.set(JAVA_BYTE, at + i - from, code);
      error.add(x[i], values[Byte.toUnsignedInt(code)] * scale);
    }
  }
}
