package dev.nibble.converter.internal;

import dev.nibble.converter.MemoryBudget;
import dev.nibble.converter.VerifyReport;
import dev.nibble.formats.quant.QuantError;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/// Compares one tensor of two checkpoints.
final class CompareJob implements Job {
  private static final int CHUNK = 4096;

  private final String name;
  private final Side first;
  private final Side second;
  private final long elementsPerSlice;
  private final boolean readable;

  /// By slice, so that sums come out the same whichever thread was first.
  private final AtomicReferenceArray<@Nullable QuantError> errors;

  private volatile @Nullable Readers readers;
  private volatile VerifyReport.@Nullable Tensor result;

  private record Readers(Side.SliceReader first, Side.SliceReader second) {}

  CompareJob(String name, Side first, Side second, MemoryBudget budget) {
    this.name = name;
    this.first = first;
    this.second = second;
    this.readable = first.readable() && second.readable();
    long alignment = TensorJob.leastCommonMultiple(first.alignment(), second.alignment());
    long wanted = budget.sliceBytes() / (2 * Float.BYTES);
    this.elementsPerSlice = Math.max(alignment, wanted / alignment * alignment);
    this.errors =
        new AtomicReferenceArray<>(
            Math.toIntExact(Math.max(1, Math.ceilDiv(units(), elementsPerSlice))));
  }

  @Override
  public String tensor() {
    return name;
  }

  @Override
  public long units() {
    return readable ? first.shape().elements() : 0;
  }

  @Override
  public long unitsPerSlice() {
    return elementsPerSlice;
  }

  @Override
  public long bufferBytes() {
    return 2 * Float.BYTES * Math.min(elementsPerSlice, units());
  }

  @Override
  public long sourceBytes(long units) {
    return first.byteSize() * units / Math.max(1, units());
  }

  @Override
  public void start() {
    if (readable) {
      readers = new Readers(first.reader(), second.reader());
    }
  }

  @Override
  public void run(long begin, long count, MemorySegment buffer) {
    Readers running = readers;
    if (running == null) {
      throw new AssertionError("a slice of " + name + " before its start");
    }
    long half = Float.BYTES * count;
    Side.Slice a = running.first().slice(begin, count, buffer.asSlice(0, half));
    Side.Slice b = running.second().slice(begin, count, buffer.asSlice(half, half));
    float[] left = new float[CHUNK];
    float[] right = new float[CHUNK];
    QuantError sum = QuantError.NONE;
    for (long done = 0; done < count; done += CHUNK) {
      int length = (int) Math.min(CHUNK, count - done);
      a.reader().read(a.data(), a.first() + done, left, length);
      b.reader().read(b.data(), b.first() + done, right, length);
      sum = sum.plus(compare(left, right, length));
    }
    errors.set((int) (begin / elementsPerSlice), sum);
  }

  /// Two numbers that are both NaN, or the same infinity, are equal; one that is finite on one side
  /// only is infinitely wrong.
  static QuantError compare(float[] left, float[] right, int length) {
    double squares = 0;
    double errors = 0;
    double max = 0;
    for (int i = 0; i < length; i++) {
      double a = left[i];
      double difference = Math.abs(a - right[i]);
      if (Double.isFinite(difference)) {
        squares += a * a;
        errors += difference * difference;
        max = Math.max(max, difference);
      } else if (Float.compare(left[i], right[i]) != 0) {
        errors = Double.POSITIVE_INFINITY;
        max = Double.POSITIVE_INFINITY;
      }
    }
    return new QuantError(length, squares, errors, max);
  }

  @Override
  public void finish() {
    readers = null;
    QuantError sum = QuantError.NONE;
    for (int i = 0; i < errors.length(); i++) {
      QuantError slice = errors.get(i);
      sum = slice == null ? sum : sum.plus(slice);
    }
    boolean identical = sum.maxError() == 0 && first.sameBytes(second);
    if (!readable && !identical) {
      double infinite = Double.POSITIVE_INFINITY;
      sum = new QuantError(first.shape().elements(), 0, infinite, infinite);
    }
    result =
        new VerifyReport.Tensor(
            name,
            first.shape(),
            first.label(),
            second.label(),
            first.byteSize(),
            second.byteSize(),
            identical,
            sum);
  }

  /// What came out, once it is finished.
  VerifyReport.Tensor result() {
    VerifyReport.Tensor done = result;
    if (done == null) {
      throw new IllegalStateException(name + " has not been compared yet");
    }
    return done;
  }
}
