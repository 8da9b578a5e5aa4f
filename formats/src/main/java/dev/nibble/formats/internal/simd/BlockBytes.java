package dev.nibble.formats.internal.simd;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// Fields of blocks in an array, little-endian.
public final class BlockBytes {
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private BlockBytes() {}

  /// A byte as 0 to 255.
  public static int unsigned(byte[] blocks, int at) {
    return Byte.toUnsignedInt(blocks[at]);
  }

  /// 16 bits, signed.
  public static int int16(byte[] blocks, int at) {
    return (short) SHORT.get(blocks, at);
  }

  /// 32 bits.
  public static int int32(byte[] blocks, int at) {
    return (int) INT.get(blocks, at);
  }

  /// 64 bits.
  public static long int64(byte[] blocks, int at) {
    return (long) LONG.get(blocks, at);
  }

  public static void setInt16(byte[] blocks, int at, int value) {
    SHORT.set(blocks, at, (short) value);
  }

  public static void setInt32(byte[] blocks, int at, int value) {
    INT.set(blocks, at, value);
  }

  /// An IEEE half, widened.
  public static float half(byte[] blocks, int at) {
    return Float.float16ToFloat((short) SHORT.get(blocks, at));
  }

  /// Rounds to an IEEE half, ties to even.
  ///
  /// @return what a reader gets
  public static float setHalf(byte[] blocks, int at, float value) {
    short half = Float.floatToFloat16(value);
    SHORT.set(blocks, at, half);
    return Float.float16ToFloat(half);
  }
}
