package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.MemorySegment;

/// The frame of decoders with a byte a code and statistics a block. Slices may begin anywhere.
abstract class BlockDecoder implements WeightDecoder {
  private static final int BUFFER = 8192;

  final Int8Kernels kernels;
  final MemorySegment codes;
  private final Blocks blocks;

  BlockDecoder(Blocks blocks, QuantizedTensor tensor, Int8Kernels kernels) {
    this.blocks = blocks;
    this.codes = tensor.part(Part.CODES);
    this.kernels = kernels;
  }

  /// Decodes codes from byte `at`, all of one block, to `out[from..to)`.
  abstract void decodeBlock(long block, long at, float[] out, int from, int to);

  @Override
  public final void decode(long begin, long count, MemorySegment target, DType type) {
    if (begin < 0
        || count < 0
        || begin > blocks.elements() - count
        || target.byteSize() != type.byteSize(count)) {
      throw new IllegalArgumentException(
          "%d elements at %d in %d bytes of %s do not fit a weight of %d"
              .formatted(count, begin, target.byteSize(), type, blocks.elements()));
    }
    FloatWriter writer = FloatWriter.of(type);
    float[] out = new float[(int) Math.min(count, BUFFER)];
    for (long at = 0; at < count; at += BUFFER) {
      int length = (int) Math.min(BUFFER, count - at);
      decodeBlocks(begin + at, out, 0, length);
      writer.write(out, length, target, at);
    }
  }

  @Override
  public final void decode(long begin, int count, float[] target, int at, DecodeScratch scratch) {
    if (begin < 0 || count < 0 || begin > blocks.elements() - count) {
      throw new IllegalArgumentException(
          "%d elements at %d do not fit a weight of %d".formatted(count, begin, blocks.elements()));
    }
    decodeBlocks(begin, target, at, at + count);
  }

  private void decodeBlocks(long first, float[] out, int begin, int end) {
    int from = begin;
    while (from < end) {
      long element = first + from - begin;
      long block = element / blocks.size();
      int to = (int) Math.min(end, from + (block + 1) * blocks.size() - element);
      decodeBlock(block, element, out, from, to);
      from = to;
    }
  }
}
