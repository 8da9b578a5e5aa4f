package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.internal.simd.ErrorSum;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/// The frame of encoders with a byte a code and statistics a block: cuts slices into blocks, finds
/// what isn't finite, and sums errors in an order that doesn't depend on slices or threads.
///
/// A block that holds a number that is not finite is stored so that all of it decodes to NaN.
abstract class BlockEncoder implements WeightEncoder {
  /// Elements read at once; longer blocks are read twice.
  private static final int BUFFER = 16_384;

  private static final int INFINITY_BITS = 0x7f800000;

  final Int8Kernels kernels;
  private final Blocks blocks;
  private final DType source;
  private final FloatReader reader;
  private final MemorySegment spanSums;
  private final AtomicLong nonFinite = new AtomicLong(Long.MAX_VALUE);
  private final AtomicInteger maxErrorBits = new AtomicInteger();
  private QuantError error = QuantError.NONE;
  private boolean finished;

  BlockEncoder(Blocks blocks, DType source, SegmentAllocator statistics, Int8Kernels kernels) {
    this.blocks = blocks;
    this.source = source;
    this.reader = FloatReader.of(source);
    this.kernels = kernels;
    this.spanSums = statistics.allocate(Math.multiplyExact(blocks.spans(), 16L), 8).fill((byte) 0);
  }

  /// What one worker knows of the block at hand.
  static final class Block {
    /// Which block of the weight it is.
    long index;

    /// Bits of the largest value, or of the largest magnitude.
    int high;

    /// Bits of the magnitude of the least value below zero, where the scheme asks for it.
    int low;

    /// Whether the block can be encoded: its numbers, and what follows from them, are finite.
    boolean finite;

    /// Numbers that {@link #settle} leaves for {@link #quantize}.
    float scale;

    float factor;
    int zero;
  }

  /// Scratch of one worker; arrays as long as the buffer.
  static final class Work {
    final float[] x;
    final float[] rounded;
    final Int8Kernels.DecodedWork decoded;
    final ErrorSum error = new ErrorSum();
    final Block block = new Block();

    Work(int length) {
      x = new float[length];
      rounded = new float[length];
      decoded = new Int8Kernels.DecodedWork(length);
    }
  }

  /// Takes `x[from..to)` into the block's `high` (and `low`). May be called for piece after piece.
  abstract void measure(float[] x, int from, int to, Block block);

  /// Computes and stores the block's statistics, and clears `finite` if they overflow.
  abstract void settle(Block block);

  /// Encodes `work.x[from..to)` of a finite block to bytes of `codes` from `at`.
  abstract void quantize(Work work, int from, int to, MemorySegment codes, long at);

  /// The code that stands for zero in a block that can't be encoded.
  abstract byte blankCode();

  /// The least magnitude, in float bits, that counts as infinite.
  int limitBits() {
    return INFINITY_BITS;
  }

  /// The statistics' segments.
  abstract Map<Part, MemorySegment> parts();

  @Override
  public final void encode(long begin, long count, MemorySegment slice, MemorySegment codes) {
    encode(work(count), begin, count, slice, codes);
  }

  /// Scratch for slices of at most `count` elements.
  final Work work(long count) {
    return new Work(Math.toIntExact(Math.min(Math.min(blocks.span(), count), BUFFER)));
  }

  /// {@link #encode(long, long, MemorySegment, MemorySegment)} with scratch that is kept from slice
  /// to slice.
  final void encode(Work work, long begin, long count, MemorySegment slice, MemorySegment codes) {
    requireSlice(begin, count, slice, codes);
    long span = blocks.span();
    for (long at = 0; at < count; at += span) {
      long length = Math.min(span, count - at);
      if (length <= work.x.length) {
        encodeSpan(work, begin, at, (int) length, slice, codes);
      } else {
        encodeLongBlock(work, begin, at, length, slice, codes);
      }
      close(work.error, (begin + at) / span);
    }
  }

  /// A span of whole blocks that fits the buffer.
  private void encodeSpan(
      Work work, long begin, long at, int length, MemorySegment slice, MemorySegment codes) {
    reader.read(slice, at, work.x, length);
    int size = (int) Math.min(blocks.size(), length);
    for (int from = 0; from < length; from += size) {
      int to = Math.min(from + size, length);
      open(work.block, (begin + at + from) / blocks.size());
      measureAndCheck(work, from, to, begin + at);
      settle(work.block);
      finishPiece(work, from, to, codes, at + from, begin + at);
    }
  }

  /// One block longer than the buffer: read once for its statistics and once for its codes.
  private void encodeLongBlock(
      Work work, long begin, long at, long length, MemorySegment slice, MemorySegment codes) {
    open(work.block, (begin + at) / blocks.size());
    for (long piece = 0; piece < length; piece += work.x.length) {
      int count = (int) Math.min(work.x.length, length - piece);
      reader.read(slice, at + piece, work.x, count);
      measureAndCheck(work, 0, count, begin + at + piece);
    }
    settle(work.block);
    for (long piece = 0; piece < length; piece += work.x.length) {
      int count = (int) Math.min(work.x.length, length - piece);
      reader.read(slice, at + piece, work.x, count);
      finishPiece(work, 0, count, codes, at + piece, begin + at + piece);
    }
  }

  private static void open(Block block, long index) {
    block.index = index;
    block.high = 0;
    block.low = 0;
    block.finite = true;
  }

  private void measureAndCheck(Work work, int from, int to, long firstElement) {
    measure(work.x, from, to, work.block);
    if (Math.max(work.block.high, work.block.low) >= limitBits()) {
      work.block.finite = false;
      tellNonFinite(work.x, from, to, firstElement);
    }
  }

  /// Notes the first of `x[from..to)` that counts as infinite, if any.
  ///
  /// @param firstElement place in the weight of `x[0]`
  final void tellNonFinite(float[] x, int from, int to, long firstElement) {
    for (int i = from; i < to; i++) {
      if ((Float.floatToRawIntBits(x[i]) & 0x7fffffff) >= limitBits()) {
        nonFinite.accumulateAndGet(firstElement + i, Math::min);
        return;
      }
    }
  }

  private void finishPiece(
      Work work, int from, int to, MemorySegment codes, long at, long firstElement) {
    if (work.block.finite) {
      quantize(work, from, to, codes, at);
      return;
    }
    codes.asSlice(at, to - from).fill(blankCode());
    // Statistics overflowed although every number is finite: the first number stands for all.
    nonFinite.compareAndSet(Long.MAX_VALUE, firstElement + from);
  }

  private void close(ErrorSum sum, long span) {
    sum.flush();
    spanSums.set(LittleEndian.DOUBLE, span * 16, sum.squares());
    spanSums.set(LittleEndian.DOUBLE, span * 16 + 8, sum.errors());
    maxErrorBits.accumulateAndGet(Float.floatToRawIntBits((float) sum.max()), Math::max);
    sum.clear();
  }

  private void requireSlice(long begin, long count, MemorySegment slice, MemorySegment codes) {
    boolean whole = count % blocks.span() == 0 || begin + count == blocks.elements();
    if (begin < 0
        || count < 0
        || begin > blocks.elements() - count
        || begin % blocks.span() != 0
        || !whole
        || slice.byteSize() != source.byteSize(count)
        || codes.byteSize() != count) {
      throw new IllegalArgumentException(
          "slice of %d elements at %d in %d of %s source and %d of code bytes does not fit a weight of %d elements cut at multiples of %d"
              .formatted(
                  count,
                  begin,
                  slice.byteSize(),
                  source,
                  codes.byteSize(),
                  blocks.elements(),
                  blocks.span()));
    }
  }

  @Override
  public final OptionalLong nonFinite() {
    long first = nonFinite.get();
    return first == Long.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(first);
  }

  @Override
  public final Map<Part, MemorySegment> finish() {
    double squares = 0;
    double errors = 0;
    for (long span = 0; span < blocks.spans(); span++) {
      squares += spanSums.get(LittleEndian.DOUBLE, span * 16);
      errors += spanSums.get(LittleEndian.DOUBLE, span * 16 + 8);
    }
    error =
        new QuantError(
            blocks.elements(), squares, errors, Float.intBitsToFloat(maxErrorBits.get()));
    finished = true;
    return parts();
  }

  /// As {@link WeightEncoder#error}; blocks that aren't finite add nothing but their elements.
  @Override
  public final QuantError error() {
    if (!finished) {
      throw new IllegalStateException("the error is known after finish()");
    }
    return error;
  }
}
