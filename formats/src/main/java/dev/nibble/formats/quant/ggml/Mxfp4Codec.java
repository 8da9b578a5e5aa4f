package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.E2m1;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// MXFP4: 32 elements in 17 bytes, `x = E2M1(q) * 2^(e - 127)`, the microscaling format of OCP.
///
/// ```
/// byte  0      1                             17
///       ┌──────┬─────────────────────────────┐
///       │ e    │ qs[16]                      │
///       │      │ low nibble  j: element j    │
///       │      │ high nibble j: element 16+j │
///       └──────┴─────────────────────────────┘
/// ```
///
/// `e` is the binary exponent of the largest magnitude, plus 127, minus the 2 that is E2M1's
/// largest exponent; 0 for a block of zeros. Importance is of no use.
final class Mxfp4Codec implements GgmlCodec {
  private static final int SIZE = GgmlType.MXFP4.blockSize();
  private static final int BYTES = GgmlType.MXFP4.blockBytes();
  private static final int CODES = 1;

  private static final GgmlKernels.Encode ENCODE =
      GgmlKernels.encoder(BlockKind.MXFP4, Mxfp4Codec::encode);
  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.MXFP4, Mxfp4Codec::decodeBlocks);

  @Override
  public GgmlType type() {
    return GgmlType.MXFP4;
  }

  @Override
  public void encode(
      float[] x, int from, int count, Optional<float[]> importance, MemorySegment blocks, long at) {
    Pieces.encode(type(), ENCODE, x, from, count, blocks, at);
  }

  static void encode(float[] x, int from, int count, byte[] blocks) {
    byte[] codes = new byte[SIZE];
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      int exponent = E2m1.exponent(Math.abs(GgmlMath.extreme(x, first, SIZE)));
      float scale = E2m1.halfScale(exponent);
      blocks[block] = (byte) exponent;
      for (int i = 0; i < SIZE; i++) {
        codes[i] = (byte) E2m1.nearest(x[first + i], scale);
      }
      Nibbles.store(codes, 0, blocks, block + CODES);
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
      float scale = E2m1.halfScale(BlockBytes.unsigned(blocks, block));
      for (int j = 0; j < 16; j++) {
        int pair = BlockBytes.unsigned(blocks, block + CODES + j);
        x[first + j] = E2m1.doubled(pair & 15) * scale;
        x[first + 16 + j] = E2m1.doubled(pair >> 4) * scale;
      }
    }
  }
}
