package dev.nibble.converter.internal;

import dev.nibble.converter.SourceTensor;
import dev.nibble.formats.OpenModel;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One tensor of the source on its way into one or more outputs: each slice is read once, and given
/// to all; twice, where one of them surveys the tensor first.
final class TensorJob implements Job {
  private static final long CACHE_LINE = 64;

  private final OpenModel source;
  private final SourceTensor tensor;
  private final List<Sink> sinks;
  private final long elementsPerSlice;
  private volatile @Nullable TensorReader reader;

  /// @param sliceBytes wanted size of a slice in the source's dtype; more if it can't be cut so
  ///   small
  TensorJob(OpenModel source, SourceTensor tensor, List<Sink> sinks, long sliceBytes) {
    this.source = source;
    this.tensor = tensor;
    this.sinks = List.copyOf(sinks);
    long alignment = TensorReader.alignment(source, tensor);
    for (Sink sink : sinks) {
      alignment = leastCommonMultiple(alignment, sink.alignment());
    }
    long wanted = sliceBytes * 8 / tensor.dtype().bits();
    this.elementsPerSlice = Math.max(alignment, wanted / alignment * alignment);
  }

  /// The least number that both divide.
  ///
  /// @throws ArithmeticException if it overflows a long
  static long leastCommonMultiple(long a, long b) {
    long x = a;
    long y = b;
    while (y != 0) {
      long rest = x % y;
      x = y;
      y = rest;
    }
    return Math.multiplyExact(a / x, b);
  }

  @Override
  public String tensor() {
    return tensor.name();
  }

  @Override
  public long units() {
    return tensor.shape().elements();
  }

  @Override
  public long unitsPerSlice() {
    return elementsPerSlice;
  }

  @Override
  public long bufferBytes() {
    long elements = Math.min(elementsPerSlice, units());
    long largest = 0;
    for (Sink sink : sinks) {
      largest = Math.max(largest, sink.bufferBytes(elements));
    }
    return readBytes(elements) + largest;
  }

  /// Bytes of a worker's buffer that hold what is read, before those that hold what is made of it.
  private long readBytes(long elements) {
    return Math.ceilDiv(TensorReader.bufferBytes(tensor, elements), CACHE_LINE) * CACHE_LINE;
  }

  @Override
  public long sourceBytes(long units) {
    return units() == 0 ? 0 : (long) ((double) tensor.byteSize() * units / units());
  }

  @Override
  public void start() {
    reader = new TensorReader(source, tensor);
    sinks.forEach(Sink::start);
  }

  @Override
  public boolean surveys() {
    return sinks.stream().anyMatch(Sink::surveys);
  }

  @Override
  public void survey(long begin, long count, MemorySegment buffer) {
    MemorySegment slice = started().read(begin, count, buffer);
    for (Sink sink : sinks) {
      if (sink.surveys()) {
        sink.survey(begin, count, slice);
      }
    }
  }

  @Override
  public void run(long begin, long count, MemorySegment buffer) throws IOException {
    MemorySegment slice = started().read(begin, count, buffer);
    MemorySegment rest = buffer.asSlice(readBytes(Math.min(elementsPerSlice, units())));
    for (Sink sink : sinks) {
      sink.accept(begin, count, slice, rest);
    }
  }

  private TensorReader started() {
    TensorReader running = reader;
    if (running == null) {
      throw new AssertionError("a slice of " + tensor.name() + " before its start");
    }
    return running;
  }

  @Override
  public void finish() throws IOException {
    reader = null;
    for (Sink sink : sinks) {
      sink.finish();
    }
  }
}
