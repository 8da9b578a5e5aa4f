package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// Q8_0: 32 elements in 34 bytes, `x = q * d`.
///
/// ```
/// byte  0      2                            34
///       ┌──────┬────────────────────────────┐
///       │ d    │ qs[32], signed             │
///       │ half │ element i                  │
///       └──────┴────────────────────────────┘
/// ```
///
/// `d` is the largest magnitude / 127; codes are rounded half away from zero, before `d` is rounded
/// to half. Importance is of no use.
final class Q80Codec implements GgmlCodec {
  private static final int SIZE = GgmlType.Q8_0.blockSize();
  private static final int BYTES = GgmlType.Q8_0.blockBytes();
  private static final int CODES = 2;

  private static final GgmlKernels.Encode ENCODE =
      GgmlKernels.encoder(BlockKind.Q8_0, Q80Codec::encode);
  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q8_0, Q80Codec::decodeBlocks);

  @Override
  public GgmlType type() {
    return GgmlType.Q8_0;
  }

  @Override
  public void encode(
      float[] x, int from, int count, Optional<float[]> importance, MemorySegment blocks, long at) {
    Pieces.encode(type(), ENCODE, x, from, count, blocks, at);
  }

  static void encode(float[] x, int from, int count, byte[] blocks) {
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float d = Math.abs(GgmlMath.extreme(x, first, SIZE)) / 127;
      float inverse = d != 0 ? 1 / d : 0;
      BlockBytes.setHalf(blocks, block, d);
      for (int i = 0; i < SIZE; i++) {
        blocks[block + CODES + i] = (byte) GgmlMath.round(x[first + i] * inverse);
      }
    }
  }

  @Override
  public void decode(
      MemorySegment blocks, long at, float[] x, int from, int count, byte[] scratch) {
    Pieces.decode(type(), DECODE, blocks, at, x, from, count, scratch);
  }

  static void decodeBlocks(byte[] blocks, float[] x, int from, int count) {
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float d = BlockBytes.half(blocks, block);
      for (int i = 0; i < SIZE; i++) {
        x[first + i] = blocks[block + CODES + i] * d;
      }
    }
  }
}
