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
    Chunk chunk = new Chunk(type);
    for (long done = 0; done < count; done += CHUNK_ELEMENTS) {
      chunk.decode(begin + done, (int) Math.min(CHUNK_ELEMENTS, count - done), target, done);
    }
  }

  /// Working arrays of one call.
  private final class Chunk {
    private final DType type;
    private final int capacity = CHUNK_ELEMENTS / scheme.blockSize();
    private final byte[] packed = new byte[CHUNK_ELEMENTS / 2];
    private final byte[] absmaxCodes = new byte[capacity];
    private final float[] magnitudes = new float[capacity];
    private final float[] tables = new float[16 * (capacity + 1)];
    private final short[] shortTables = new short[16 * (capacity + 1)];
    private final float[] floats;
    private final short[] shorts;

    Chunk(DType type) {
      this.type = type;
      floats = new float[type == DType.F32 ? CHUNK_ELEMENTS : 0];
      shorts = new short[type == DType.F32 ? 0 : CHUNK_ELEMENTS];
    }

    void decode(long begin, int count, MemorySegment target, long offset) {
      int blocks = Math.ceilDiv(count, scheme.blockSize());
      MemorySegment.copy(codes, JAVA_BYTE, begin / 2, packed, 0, (count + 1) / 2);
      loadMagnitudes(begin / scheme.blockSize(), blocks);
      kernel.tables(codebook, magnitudes, blocks, tables);
      if (type == DType.F32) {
        kernel.lookup(packed, blocks, scheme.blockSize(), tables, floats);
        MemorySegment.copy(floats, 0, target, LittleEndian.FLOAT, offset * 4, count);
      } else {
        kernel.round(tables, 16 * blocks, type, shortTables);
        kernel.lookup(packed, blocks, scheme.blockSize(), shortTables, shorts);
        MemorySegment.copy(shorts, 0, target, LittleEndian.SHORT, offset * 2, count);
      }
    }

    private void loadMagnitudes(long firstBlock, int blocks) {
      if (!scheme.doubleQuant()) {
        MemorySegment.copy(
            absmax, LittleEndian.FLOAT, firstBlock * Float.BYTES, magnitudes, 0, blocks);
        return;
      }
      MemorySegment.copy(absmax, JAVA_BYTE, firstBlock, absmaxCodes, 0, blocks);
      for (int i = 0; i < blocks; i++) {
        float nested = nestedAbsmax[(int) ((firstBlock + i) / DoubleQuant.GROUP)];
        magnitudes[i] = nestedCodebook[Byte.toUnsignedInt(absmaxCodes[i])] * nested + offset;
      }
    }
  }
}
