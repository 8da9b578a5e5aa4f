package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FourBitChunk;
import dev.nibble.formats.internal.simd.FourBitKernel;
import dev.nibble.formats.internal.simd.FourBitTable;
import dev.nibble.formats.internal.simd.ScalarFourBit;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.EnumMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicLong;

/// Makes 4-bit weights. Keeps five float32 for each block until {@link #finish()}: its absmax and
/// the statistics that {@link FourBitChunk} describes, from which the error follows for any absmax
/// that double quantization may turn the exact one into.
///
/// The error does not count blocks whose absmax is not finite. With double quantization `maxError`
/// is an upper bound: largest error of a block for its exact absmax, plus the change of its absmax;
/// all else is exact but for float32 rounding inside a block. One kernel gives the same for any cut
/// in slices; the scalar and the vector kernel may differ in the last digits.
final class FourBitEncoder implements WeightEncoder {
  private static final long NONE = Long.MAX_VALUE;

  private final FourBit scheme;
  private final DType source;
  private final long elements;
  private final SegmentAllocator statistics;
  private final FourBitKernel kernel;
  private final FourBitTable table;
  private final MemorySegment absmax;
  private final BlockErrors errors;
  private final AtomicLong encoded = new AtomicLong();
  private final AtomicLong nonFinite = new AtomicLong(NONE);

  FourBitEncoder(
      FourBit scheme,
      Shape weight,
      DType source,
      SegmentAllocator statistics,
      FourBitKernel kernel) {
    this.scheme = scheme;
    this.source = source;
    this.elements = weight.elements();
    this.statistics = statistics;
    this.kernel = kernel;
    this.table = Codebooks.table(scheme.type());
    long blocks = scheme.blocks(elements);
    this.absmax = statistics.allocate(blocks * Float.BYTES, Float.BYTES);
    this.errors = new BlockErrors(blocks, statistics, kernel);
  }

  @Override
  public void encode(long begin, long count, MemorySegment from, MemorySegment codes) {
    checkSlice(begin, count, from, codes);
    int blockSize = scheme.blockSize();
    FourBitChunk chunk = new FourBitChunk(source, blockSize);
    long full = count / blockSize;
    for (long done = 0; done < full; done += chunk.capacity()) {
      int blocks = (int) Math.min(chunk.capacity(), full - done);
      chunk.load(from, done * blockSize, blocks);
      kernel.encode(table, chunk, blocks);
      MemorySegment.copy(
          chunk.codes, 0, codes, JAVA_BYTE, done * blockSize / 2, blocks * blockSize / 2);
      store(chunk, begin / blockSize + done, blocks, from, done * blockSize, count);
    }
    int rest = (int) (count % blockSize);
    if (rest > 0) {
      encodeShort(begin + full * blockSize, rest, full * blockSize, from, codes, chunk);
    }
    encoded.addAndGet(count);
  }

  private void encodeShort(
      long begin,
      int count,
      long offset,
      MemorySegment from,
      MemorySegment codes,
      FourBitChunk chunk) {
    float[] values = new float[count];
    FloatReader.of(source).read(from, offset, values, count);
    ScalarFourBit.encodeShort(table, values, count, chunk);
    MemorySegment.copy(chunk.codes, 0, codes, JAVA_BYTE, offset / 2, (count + 1) / 2);
    store(chunk, begin / scheme.blockSize(), 1, from, offset, offset + count);
  }

  /// Keeps the statistics of encoded blocks.
  ///
  /// @param offset of the blocks' first element in the slice
  /// @param end of the slice, in elements
  private void store(
      FourBitChunk chunk, long firstBlock, int blocks, MemorySegment from, long offset, long end) {
    MemorySegment.copy(
        chunk.absmax, 0, absmax, LittleEndian.FLOAT, firstBlock * Float.BYTES, blocks);
    errors.put(chunk, firstBlock, blocks);
    for (int i = 0; i < blocks; i++) {
      // False for NaN too.
      if (!(chunk.absmax[i] < Float.POSITIVE_INFINITY)) {
        long first = offset + (long) i * scheme.blockSize();
        int count = (int) Math.min(scheme.blockSize(), end - first);
        long index = (firstBlock + i) * scheme.blockSize() + firstNonFinite(from, first, count);
        nonFinite.accumulateAndGet(index, Math::min);
      }
    }
  }

  private int firstNonFinite(MemorySegment from, long first, int count) {
    float[] values = new float[count];
    FloatReader.of(source).read(from, first, values, count);
    for (int i = 0; i < count; i++) {
      if (!Float.isFinite(values[i])) {
        return i;
      }
    }
    throw new AssertionError("the block of element " + first + " of the slice is finite");
  }

  private void checkSlice(long begin, long count, MemorySegment from, MemorySegment codes) {
    boolean inside = begin >= 0 && count >= 0 && count <= elements - begin;
    boolean aligned =
        begin % scheme.blockSize() == 0
            && (count % scheme.blockSize() == 0 || begin + count == elements);
    if (!inside || !aligned) {
      throw new IllegalArgumentException(
          "a slice of %d elements at %d of %d does not consist of blocks of %d"
              .formatted(count, begin, elements, scheme.blockSize()));
    }
    if (from.byteSize() < source.byteSize(count) || codes.byteSize() < scheme.codeBytes(count)) {
      throw new IllegalArgumentException(
          "a slice of %d %s elements needs %d bytes of source and %d of codes, got %d and %d"
              .formatted(
                  count,
                  source,
                  source.byteSize(count),
                  scheme.codeBytes(count),
                  from.byteSize(),
                  codes.byteSize()));
    }
  }

  @Override
  public OptionalLong nonFinite() {
    long index = nonFinite.get();
    return index == NONE ? OptionalLong.empty() : OptionalLong.of(index);
  }

  @Override
  public Map<Part, MemorySegment> finish() {
    boolean hasMean = scheme.doubleQuant() && elements > 0;
    return finish(hasMean ? TorchSum.mean(absmax) : 0);
  }

  /// {@link #finish()} with the offset of double quantization given.
  Map<Part, MemorySegment> finish(float offset) {
    if (encoded.get() != elements) {
      throw new IllegalStateException(encoded.get() + " of " + elements + " elements encoded");
    }
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    parts.put(Part.CODEBOOK, floats(table.valuesByCode()));
    if (scheme.doubleQuant()) {
      doubleQuantize(offset, parts);
    } else {
      parts.put(Part.ABSMAX, absmax);
      errors.addExact(absmax);
    }
    return parts;
  }

  private void doubleQuantize(float offset, Map<Part, MemorySegment> parts) {
    if (!Float.isFinite(offset)) {
      throw new NibbleException(
          "the largest magnitudes of its blocks have the mean %s, which double quantization cannot"
                  .formatted(offset)
              + " store: use --no-double-quant");
    }
    long blocks = scheme.blocks(elements);
    MemorySegment codes = statistics.allocate(blocks, 1);
    MemorySegment nested =
        statistics.allocate(DoubleQuant.groups(blocks) * Float.BYTES, Float.BYTES);
    new DoubleQuant().quantize(absmax, offset, codes, nested, errors::addDecoded);
    parts.put(Part.ABSMAX, codes);
    parts.put(Part.NESTED_ABSMAX, nested);
    parts.put(Part.NESTED_CODEBOOK, floats(Codebooks.dynamicMap()));
    parts.put(Part.NESTED_OFFSET, floats(offset));
  }

  private MemorySegment floats(float... values) {
    return statistics.allocateFrom(LittleEndian.FLOAT, values);
  }

  @Override
  public QuantError error() {
    return errors.total(elements);
  }
}
