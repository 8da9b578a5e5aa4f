package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.internal.simd.FourBitKernel;
import dev.nibble.formats.internal.simd.ScalarFourBit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.management.ManagementFactory;
import java.util.EnumMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// 4-bit codecs against memcpy of the same source bytes. Each thread has a weight of its own, of 64
/// MiB; rates in GB/s count the bytes of the unquantized side, over all threads. Encoding runs from
/// a new encoder to the finished statistics and the error; statistics come from reused memory, as
/// in the converter.
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class FourBitBenchmark {
  private static final long BYTES = 64L << 20;
  private static final int SLICE = 1 << 20;
  private static final FourBit NF4 = new FourBit(FourBitType.NF4, 64, true);
  private static final FourBit NF4_PLAIN = new FourBit(FourBitType.NF4, 64, false);
  private static final FourBit FP4 = new FourBit(FourBitType.FP4, 64, true);

  /// Bytes moved, and processor time used, which JMH prints as rates of their own: on a machine
  /// that others use too, their ratio says more than the first.
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Rate {
    public double gigabytes;
    public double cpuSeconds;

    private static long cpuNanos() {
      return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    private long before = cpuNanos();

    QuantError add(QuantError error) {
      add();
      return error;
    }

    void add() {
      gigabytes += BYTES * 1e-9;
      long now = cpuNanos();
      cpuSeconds += (now - before) * 1e-9;
      before = now;
    }
  }

  @State(Scope.Thread)
  public static class Weight {
    @Param({"BF16", "F16", "F32"})
    public DType type = DType.BF16;

    final Arena arena = Arena.ofShared();
    MemorySegment source = MemorySegment.NULL;
    MemorySegment target = MemorySegment.NULL;
    MemorySegment codes = MemorySegment.NULL;
    MemorySegment statistics = MemorySegment.NULL;
    Shape shape = Shape.of();

    @Setup(Level.Trial)
    public void allocate() {
      long elements = BYTES * 8 / type.bits();
      shape = Shape.of(elements / 1024, 1024);
      source = arena.allocate(BYTES, 64);
      target = arena.allocate(BYTES, 64);
      codes = arena.allocate(elements / 2, 64);
      statistics = arena.allocate(elements / 2 + (1 << 16), 64);
      Random random = new Random(1);
      float[] values = new float[SLICE];
      for (int i = 0; i < SLICE; i++) {
        values[i] = (float) random.nextGaussian() * 0.02f;
      }
      for (long first = 0; first < elements; first += SLICE) {
        FloatWriter.of(type).write(values, SLICE, source, first);
      }
      // Touches every page before anything is timed.
      target.fill((byte) 1);
      codes.fill((byte) 1);
      statistics.fill((byte) 1);
    }

    @TearDown(Level.Trial)
    public void free() {
      arena.close();
    }

    QuantError encode(FourBit scheme, FourBitKernel kernel) {
      FourBitEncoder encoder = encoder(scheme, kernel);
      encoder.finish();
      return encoder.error();
    }

    FourBitEncoder encoder(FourBit scheme, FourBitKernel kernel) {
      SegmentAllocator pool = SegmentAllocator.slicingAllocator(statistics);
      FourBitEncoder encoder = new FourBitEncoder(scheme, shape, type, pool, kernel);
      for (long begin = 0; begin < shape.elements(); begin += SLICE) {
        encoder.encode(
            begin,
            SLICE,
            source.asSlice(type.byteSize(begin), type.byteSize(SLICE)),
            codes.asSlice(begin / 2, SLICE / 2));
      }
      return encoder;
    }
  }

  /// A weight that is quantized already.
  @State(Scope.Thread)
  public static class Quantized {
    QuantizedTensor tensor = none();

    private static QuantizedTensor none() {
      FourBit scheme = new FourBit(FourBitType.NF4, 64, true);
      FourBitEncoder encoder =
          new FourBitEncoder(scheme, Shape.of(0), DType.BF16, Arena.ofAuto(), FourBitKernel.best());
      return tensor(encoder, scheme, Shape.of(0), DType.BF16, MemorySegment.NULL);
    }

    private static QuantizedTensor tensor(
        FourBitEncoder encoder, FourBit scheme, Shape shape, DType type, MemorySegment codes) {
      Map<Part, MemorySegment> parts = new EnumMap<>(encoder.finish());
      parts.put(Part.CODES, codes);
      return new QuantizedTensor(scheme, shape, type, parts);
    }

    @Setup(Level.Trial)
    public void quantize(Weight weight) {
      FourBit scheme = new FourBit(FourBitType.NF4, 64, true);
      FourBitEncoder encoder = weight.encoder(scheme, FourBitKernel.best());
      tensor = tensor(encoder, scheme, weight.shape, weight.type, weight.codes);
    }

    void decode(Weight weight, FourBitKernel kernel) {
      FourBitDecoder decoder = new FourBitDecoder(tensor, (FourBit) tensor.scheme(), kernel);
      DType type = weight.type;
      for (long begin = 0; begin < weight.shape.elements(); begin += SLICE) {
        decoder.decode(
            begin, SLICE, weight.target.asSlice(type.byteSize(begin), type.byteSize(SLICE)), type);
      }
    }
  }

  @Benchmark
  public void memcpy(Weight weight, Rate rate) {
    weight.target.copyFrom(weight.source);
    rate.add();
  }

  @Benchmark
  public QuantError encodeNf4(Weight weight, Rate rate) {
    return rate.add(weight.encode(NF4, FourBitKernel.best()));
  }

  @Benchmark
  public QuantError encodeNf4Plain(Weight weight, Rate rate) {
    return rate.add(weight.encode(NF4_PLAIN, FourBitKernel.best()));
  }

  @Benchmark
  public QuantError encodeFp4(Weight weight, Rate rate) {
    return rate.add(weight.encode(FP4, FourBitKernel.best()));
  }

  @Benchmark
  public QuantError encodeNf4Scalar(Weight weight, Rate rate) {
    return rate.add(weight.encode(NF4, new ScalarFourBit()));
  }

  @Benchmark
  public void decodeNf4(Weight weight, Quantized quantized, Rate rate) {
    quantized.decode(weight, FourBitKernel.best());
    rate.add();
  }

  @Benchmark
  public void decodeNf4Scalar(Weight weight, Quantized quantized, Rate rate) {
    quantized.decode(weight, new ScalarFourBit());
    rate.add();
  }
}
