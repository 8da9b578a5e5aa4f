package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.internal.simd.ErrorKernel;
import dev.nibble.formats.internal.simd.ErrorLanes;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.Int8Kernels;
import dev.nibble.formats.quant.ggml.GgmlCodec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/// Encodes rows of a weight to blocks of a ggml type, and sums the error of what a reader decodes,
/// in an order that doesn't depend on slices or threads.
///
/// A block that holds a number that is not finite, or whose scale overflows, is reported and
/// encoded as zeros: ggml's types have no way to say it.
final class GgmlEncoder implements WeightEncoder {
  /// Elements encoded at once where no row has to be seen whole, a multiple of every block size: so
  /// few that the memory of the next is fetched ahead, and all work lies in the first cache.
  private static final int PIECE = 1024;

  /// Likewise of types with super-blocks, whose search takes many at once.
  private static final int SUPER_PIECE = 4096;

  private static final int INFINITY_BITS = 0x7f800000;

  private final GgmlCodec codec;
  private final int blockSize;
  private final Blocks rows;
  private final DType source;
  private final FloatReader reader;
  private final ErrorKernel errors = ErrorKernel.best();
  private final Int8Kernels magnitudes = Int8Kernels.best();
  private final Optional<float[]> importance;
  private final MemorySegment spanSums;
  private final AtomicLong nonFinite = new AtomicLong(Long.MAX_VALUE);
  private final AtomicInteger maxErrorBits = new AtomicInteger();

  /// All steps have one call site: the JIT then compiles each on its own. In one method they pass
  /// its node limit, beyond which vectors become objects.
  private final List<Step> steps;

  private QuantError error = QuantError.NONE;
  private boolean finished;

  GgmlEncoder(
      GgmlCodec codec,
      Blocks rows,
      DType source,
      SegmentAllocator statistics,
      Optional<float[]> importance) {
    if (importance.isPresent() && importance.get().length != rows.size()) {
      throw new IllegalArgumentException(
          "importance of %d columns for rows of %d"
              .formatted(importance.get().length, rows.size()));
    }
    this.codec = codec;
    this.steps =
        List.of(
            (work, codes) -> checkSource(work),
            (work, codes) -> codec.encode(work.x, 0, work.length, importance, codes, work.at),
            (work, codes) -> codec.decode(codes, work.at, work.decoded, 0, work.length, work.bytes),
            (work, codes) -> checkDecoded(work),
            (work, codes) -> errors.add(work.x, work.decoded, work.length, work.sums));
    this.blockSize = codec.type().blockSize();
    this.rows = rows;
    this.source = source;
    this.reader = FloatReader.of(source);
    this.importance = importance;
    this.spanSums = statistics.allocate(Math.multiplyExact(rows.spans(), 16L), 8).fill((byte) 0);
  }

  /// A part of the work on a piece.
  @FunctionalInterface
  private interface Step {
    void run(Work work, MemorySegment codes);
  }

  /// Scratch of one call.
  private static final class Work {
    final float[] x;
    final float[] decoded;
    final byte[] bytes;
    final ErrorLanes sums = new ErrorLanes();

    /// Elements at hand.
    int length;

    /// Which element of the weight the first one is.
    long first;

    /// Where its block begins among the bytes of the slice.
    long at;

    Work(int length, int scratchBytes) {
      x = new float[length];
      decoded = new float[length];
      bytes = new byte[scratchBytes];
    }
  }

  @Override
  public void encode(long begin, long count, MemorySegment slice, MemorySegment codes) {
    requireSlice(begin, count, slice, codes);
    // One row with importance, since codecs then look at all of it.
    int usual = blockSize < GgmlBlock.CUT_ROW ? PIECE : SUPER_PIECE;
    long piece = importance.isPresent() ? rows.size() : usual;
    int longest = Math.toIntExact(Math.min(piece, count));
    Work work = new Work(longest, codec.scratchBytes(longest));
    for (long span = 0; span < count; span += rows.span()) {
      long end = Math.min(count, span + rows.span());
      for (long at = span; at < end; at += piece) {
        int length = (int) Math.min(piece, end - at);
        reader.read(slice, at, work.x, length);
        work.length = length;
        work.first = begin + at;
        work.at = codec.type().byteSize(at);
        for (Step step : steps) {
          step.run(work, codes);
        }
      }
      close(work.sums, (begin + span) / rows.span());
    }
  }

  private void checkSource(Work work) {
    if (!isFinite(work.x, work.length)) {
      zeroNonFinite(work.x, work.length, work.first);
    }
  }

  private void checkDecoded(Work work) {
    if (!isFinite(work.decoded, work.length)) {
      excludeOverflow(work, work.length, work.first);
    }
  }

  private boolean isFinite(float[] x, int length) {
    return magnitudes.absmaxBits(x, 0, length) < INFINITY_BITS;
  }

  /// Reports numbers of blocks whose scale overflowed, and has them count as exact.
  private void excludeOverflow(Work work, int length, long first) {
    for (int i = 0; i < length; i++) {
      if (!Float.isFinite(work.decoded[i])) {
        nonFinite.accumulateAndGet(first + i, Math::min);
        work.decoded[i] = work.x[i];
      }
    }
  }

  /// Reports numbers that are not finite, and makes their blocks zeros.
  private void zeroNonFinite(float[] x, int length, long first) {
    for (int i = 0; i < length; i++) {
      if (!Float.isFinite(x[i])) {
        nonFinite.accumulateAndGet(first + i, Math::min);
        int block = i / blockSize * blockSize;
        Arrays.fill(x, block, block + blockSize, 0);
        i = block + blockSize - 1;
      }
    }
  }

  private void close(ErrorLanes sums, long span) {
    spanSums.set(LittleEndian.DOUBLE, span * 16, sums.squares());
    spanSums.set(LittleEndian.DOUBLE, span * 16 + 8, sums.errors());
    maxErrorBits.accumulateAndGet(Float.floatToRawIntBits((float) sums.max()), Math::max);
    sums.clear();
  }

  private void requireSlice(long begin, long count, MemorySegment slice, MemorySegment codes) {
    boolean whole = count % rows.span() == 0 || begin + count == rows.elements();
    if (begin < 0
        || count < 0
        || begin > rows.elements() - count
        || begin % rows.span() != 0
        || !whole
        || slice.byteSize() != source.byteSize(count)
        || codes.byteSize() != codec.type().byteSize(count)) {
      throw new IllegalArgumentException(
          "slice of %d elements at %d in %d bytes of %s source and %d of code bytes does not fit a weight of %d elements cut at multiples of %d"
              .formatted(
                  count,
                  begin,
                  slice.byteSize(),
                  source,
                  codes.byteSize(),
                  rows.elements(),
                  rows.span()));
    }
  }

  @Override
  public OptionalLong nonFinite() {
    long first = nonFinite.get();
    return first == Long.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(first);
  }

  @Override
  public Map<Part, MemorySegment> finish() {
    double squares = 0;
    double errors = 0;
    for (long span = 0; span < rows.spans(); span++) {
      squares += spanSums.get(LittleEndian.DOUBLE, span * 16);
      errors += spanSums.get(LittleEndian.DOUBLE, span * 16 + 8);
    }
    error =
        new QuantError(rows.elements(), squares, errors, Float.intBitsToFloat(maxErrorBits.get()));
    finished = true;
    return Map.of();
  }

  @Override
  public QuantError error() {
    if (!finished) {
      throw new IllegalStateException("the error is known after finish()");
    }
    return error;
  }
}
