package dev.nibble.formats.internal.simd;

import java.lang.foreign.MemorySegment;

/// The inner loops of 8-bit schemes, over a range of one block. All encoders also add the error of
/// what will be decoded to an {@link ErrorSum}. Both implementations give the same bytes.
public interface Int8Kernels {
  /// The fastest kernels for this machine.
  static Int8Kernels best() {
    return Simd.choose(
        () -> new ScalarInt8Kernels(),
        () -> new WarmingInt8Kernels(),
        () -> new VectorInt8Kernels());
  }

  /// The largest magnitude of `x[from..to)`, as float bits without sign: these order like the
  /// magnitudes, and above all of them come infinity (`0x7f800000`) and then NaN.
  int absmaxBits(float[] x, int from, int to);

  /// The bits of `max(0, max x)` in the upper half and those of `max(0, max -x)` in the lower.
  long rangeBits(float[] x, int from, int to);

  /// Rounds `x[from..to)` to fp16 and back.
  void throughHalf(float[] x, int from, int to, float[] target);

  /// Symmetric codes by division: `q = clamp(rint(x / scale), -127, 127)`, decoded `q * scale`.
  ///
  /// @param codes receives `to - from` bytes from byte `at`
  void divide(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error);

  /// Symmetric codes by multiplication: `q = clamp(rint(rounded * factor), -127, 127)`, decoded `q
  /// * first * second`, left to right.
  ///
  /// @param x the source, which errors are counted against
  /// @param rounded the numbers to encode, at the same places as in `x`
  void multiply(
      float[] x,
      float[] rounded,
      int from,
      int to,
      float factor,
      float first,
      float second,
      MemorySegment codes,
      long at,
      ErrorSum error);

  /// Unsigned codes around a zero point: `q = clamp(rint(x / scale) + zero, 0, largest)`, decoded
  /// `(q - zero) * scale`.
  ///
  /// @param largest at most 255
  void affine(
      float[] x,
      int from,
      int to,
      float scale,
      int zero,
      int largest,
      MemorySegment codes,
      long at,
      ErrorSum error);

  /// Codes by table: `q = table[trunc((clamp(x * inverse, -1, 1) + 1) * 0.5 * 65535 + 0.5)]`.
  ///
  /// @param table 65,536 codes
  /// @param values 256 values of the codes; decoded is `values[q] * absmax`
  /// @param work as long as `x`
  void lookUp(
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
      ErrorSum error);

  /// Decodes signed codes: `out[i] = q * first * second`.
  void decodeSigned(
      MemorySegment codes, long at, float first, float second, float[] out, int from, int to);

  /// Decodes unsigned codes: `out[i] = (q - zero) * scale`.
  ///
  /// @param flip 0, or 0x80 if bit 7 of the codes is stored inverted
  void decodeAffine(
      MemorySegment codes, long at, int flip, int zero, float scale, float[] out, int from, int to);

  /// Decodes by table: `out[i] = values[q] * absmax`.
  void decodeLookUp(
      MemorySegment codes, long at, float[] values, float absmax, float[] out, int from, int to);

  /// Scratch space of {@link #lookUp}, for ranges that end at most at `length`.
  final class DecodedWork {
    /// Places in the table.
    final int[] indexes;

    /// Values of the codes.
    final float[] decoded;

    /// The codes themselves.
    final byte[] codes;

    public DecodedWork(int length) {
      indexes = new int[length];
      decoded = new float[length];
      codes = new byte[length];
    }
  }
}
