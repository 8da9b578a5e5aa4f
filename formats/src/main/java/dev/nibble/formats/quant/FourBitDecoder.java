package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.internal.simd.FourBitKernel;
import java.lang.foreign.MemorySegment;

/// Reads 4-bit weights. A block has only 16 different values, so they are computed and rounded
/// once, and its codes look them up.
final class FourBitDecoder implements WeightDecoder {
  private static final int CHUNK_ELEMENTS = 4096;

  private final FourBit scheme;
  private final long elements;
  private final MemorySegment codes;
  private final MemorySegment absmax;
  private final float[] codebook;
  private final FourBitKernel kernel;
  private final float[] nestedCodebook;
  private final float[] nestedAbsmax;
  private final float offset;

  FourBitDecoder(QuantizedTensor tensor, FourBit scheme, FourBitKernel kernel) {
    this.scheme = scheme;
    this.kernel = kernel;
    elements = tensor.shape().elements();
    codes = tensor.part(Part.CODES);
    absmax = tensor.part(Part.ABSMAX);
    codebook = tensor.part(Part.CODEBOOK).toArray(LittleEndian.FLOAT);
    if (scheme.doubleQuant()) {
      nestedCodebook = tensor.part(Part.NESTED_CODEBOOK).toArray(LittleEndian.FLOAT);
      nestedAbsmax = tensor.part(Part.NESTED_ABSMAX).toArray(LittleEndian.FLOAT);
      offset = tensor.part(Part.NESTED_OFFSET).get(LittleEndian.FLOAT, 0);
    } else {
      nestedCodebook = new float[0];
      nestedAbsmax = new float[0];
      offset = 0;
    }
  }

  @Override
  public void decode(long begin, long count, MemorySegment target, DType type) {
    if (begin < 0
        || count < 0
        || count > elements - begin
        || begin % scheme.blockSize() != 0
        || target.byteSize() < type.byteSize(count)) {
      throw new IllegalArgumentException(
          "cannot decode %d of %d elements from %d into %d bytes"
              .formatted(count, elements, begin, target.byteSize()));
    }
    DecodeScratch scratch = new DecodeScratch();
    for (long done = 0; done < count; done += CHUNK_ELEMENTS) {
      int length = (int) Math.min(CHUNK_ELEMENTS, count - done);
      if (type == DType.F32) {
        float[] floats = floats(begin + done, length, scratch);
        MemorySegment.copy(floats, 0, target, LittleEndian.FLOAT, done * 4, length);
      } else {
        short[] shorts = shorts(begin + done, length, type, scratch);
        MemorySegment.copy(shorts, 0, target, LittleEndian.SHORT, done * 2, length);
      }
    }
  }

  @Override
  public void decode(long begin, int count, float[] target, int at, DecodeScratch scratch) {
    if (begin < 0 || count < 0 || count > elements - begin) {
      throw new IllegalArgumentException(
          "cannot decode %d of %d elements from %d".formatted(count, elements, begin));
    }
    int done = 0;
    while (done < count) {
      int skipped = (int) ((begin + done) % scheme.blockSize());
      int length = Math.min(CHUNK_ELEMENTS - skipped, count - done);
      float[] floats = floats(begin + done - skipped, skipped + length, scratch);
      System.arraycopy(floats, skipped, target, at + done, length);
      done += length;
    }
  }

  /// Decodes up to a chunk, from a block's beginning, to the front of the array returned.
  private float[] floats(long begin, int count, DecodeScratch scratch) {
    int blocks = Math.ceilDiv(count, scheme.blockSize());
    float[] tables = tables(begin, blocks, scratch);
    float[] floats = scratch.floats(blocks * scheme.blockSize());
    kernel.lookup(packed(begin, count, scratch), blocks, scheme.blockSize(), tables, floats);
    return floats;
  }

  private short[] shorts(long begin, int count, DType type, DecodeScratch scratch) {
    int blocks = Math.ceilDiv(count, scheme.blockSize());
    short[] tables = scratch.shortTables(16 * (blocks + 1));
    kernel.round(tables(begin, blocks, scratch), 16 * blocks, type, tables);
    short[] shorts = scratch.shorts(blocks * scheme.blockSize());
    kernel.lookup(packed(begin, count, scratch), blocks, scheme.blockSize(), tables, shorts);
    return shorts;
  }

  private byte[] packed(long begin, int count, DecodeScratch scratch) {
    byte[] packed =
        scratch.packed(Math.ceilDiv(count, scheme.blockSize()) * scheme.blockSize() / 2);
    MemorySegment.copy(codes, JAVA_BYTE, begin / 2, packed, 0, (count + 1) / 2);
    return packed;
  }

  /// The 16 values of each block.
  private float[] tables(long begin, int blocks, DecodeScratch scratch) {
    float[] tables = scratch.tables(16 * (blocks + 1));
    float[] magnitudes = scratch.magnitudes(blocks);
    loadMagnitudes(begin / scheme.blockSize(), blocks, magnitudes, scratch);
    kernel.tables(codebook, magnitudes, blocks, tables);
    return tables;
  }

  private void loadMagnitudes(
      long firstBlock, int blocks, float[] magnitudes, DecodeScratch scratch) {
    if (!scheme.doubleQuant()) {
      MemorySegment.copy(
          absmax, LittleEndian.FLOAT, firstBlock * Float.BYTES, magnitudes, 0, blocks);
      return;
    }
    byte[] absmaxCodes = scratch.absmaxCodes(blocks);
    MemorySegment.copy(absmax, JAVA_BYTE, firstBlock, absmaxCodes, 0, blocks);
    for (int i = 0; i < blocks; i++) {
      float nested = nestedAbsmax[(int) ((firstBlock + i) / DoubleQuant.GROUP)];
      magnitudes[i] = nestedCodebook[Byte.toUnsignedInt(absmaxCodes[i])] * nested + offset;
    }
  }
}
