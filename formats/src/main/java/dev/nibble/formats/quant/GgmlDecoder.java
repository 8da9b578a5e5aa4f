package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.ggml.GgmlCodec;
import java.lang.foreign.MemorySegment;

/// Decodes blocks of a ggml type. Slices may begin anywhere.
final class GgmlDecoder implements WeightDecoder {
  /// Elements decoded at once, a multiple of every block size: so few that decoding the next goes
  /// on while the stores of the last wait for memory.
  private static final int TILE = 1024;

  private final GgmlCodec codec;
  private final int blockSize;
  private final int blockBytes;
  private final long elements;
  private final MemorySegment blocks;

  GgmlDecoder(GgmlCodec codec, QuantizedTensor tensor) {
    this.codec = codec;
    this.blockSize = codec.type().blockSize();
    this.blockBytes = codec.type().blockBytes();
    this.elements = tensor.shape().elements();
    this.blocks = tensor.part(Part.CODES);
  }

  @Override
  public void decode(long begin, long count, MemorySegment target, DType type) {
    requireRange(begin, count);
    if (target.byteSize() != type.byteSize(count)) {
      throw new IllegalArgumentException(
          "%d elements in %d bytes of %s".formatted(count, target.byteSize(), type));
    }
    FloatWriter writer = FloatWriter.of(type);
    float[] out = new float[(int) Math.min(count, TILE)];
    DecodeScratch scratch = new DecodeScratch();
    for (long at = 0; at < count; at += TILE) {
      int length = (int) Math.min(TILE, count - at);
      decode(begin + at, length, out, 0, scratch);
      writer.write(out, length, target, at);
    }
  }

  @Override
  public void decode(long begin, int count, float[] target, int at, DecodeScratch scratch) {
    requireRange(begin, count);
    int done = 0;
    int inBlock = (int) (begin % blockSize);
    if (inBlock != 0) {
      done = Math.min(count, blockSize - inBlock);
      part(begin - inBlock, inBlock, done, target, at, scratch);
    }
    int whole = (count - done) / blockSize * blockSize;
    byte[] bytes = scratch.packed(codec.scratchBytes(whole));
    codec.decode(blocks, offset(begin + done), target, at + done, whole, bytes);
    done += whole;
    if (done < count) {
      part(begin + done, 0, count - done, target, at + done, scratch);
    }
  }

  /// Some elements of one block.
  private void part(
      long block, int first, int count, float[] target, int at, DecodeScratch scratch) {
    float[] all = scratch.floats(blockSize);
    byte[] bytes = scratch.packed(blockBytes);
    codec.decode(blocks, offset(block), all, 0, blockSize, bytes);
    System.arraycopy(all, first, target, at, count);
  }

  private long offset(long element) {
    return element / blockSize * blockBytes;
  }

  private void requireRange(long begin, long count) {
    if (begin < 0 || count < 0 || begin > elements - count) {
      throw new IllegalArgumentException(
          "%d elements at %d do not fit a weight of %d".formatted(count, begin, elements));
    }
  }
}
