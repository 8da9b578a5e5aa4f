package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
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

/// Codecs with a byte a code, grids of 4 bits and 8-bit floats against memcpy of the same source
/// bytes. Each thread has a weight of its own, of 64 MiB in rows of 4096; rates in GB/s count the
/// bytes of the unquantized side, over all threads. Encoding runs from a new encoder to the
/// finished statistics and the error. With `-jvmArgsAppend -Dnibble.simd=scalar` the scalar twins
/// run instead.
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class EightBitBenchmark {
  private static final long BYTES = 64L << 20;
  private static final int ROW = 4096;
  private static final int SLICE = 1 << 20;

  /// Bytes moved, printed by JMH as a rate of its own.
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Rate {
    public double gigabytes;
  }

  @State(Scope.Thread)
  public static class Memory {
    @Param({"BF16"})
    public DType type = DType.BF16;

    final Arena arena = Arena.ofShared();
    MemorySegment source = MemorySegment.NULL;
    MemorySegment target = MemorySegment.NULL;
    Shape shape = Shape.of();

    @Setup(Level.Trial)
    public void allocate() {
      long elements = BYTES * 8 / type.bits();
      shape = Shape.of(elements / ROW, ROW);
      source = arena.allocate(BYTES, 64);
      target = arena.allocate(BYTES, 64);
      Random random = new Random(1);
      float[] values = new float[SLICE];
      for (int i = 0; i < SLICE; i++) {
        values[i] = (float) random.nextGaussian() * 0.02f;
      }
      for (long first = 0; first < elements; first += SLICE) {
        FloatWriter.of(type).write(values, SLICE, source, first);
      }
      target.fill((byte) 1);
    }

    @TearDown(Level.Trial)
    public void free() {
      arena.close();
    }
  }

  /// A weight, quantized once.
  @State(Scope.Thread)
  public static class Weight {
    @Param({
      "int8",
      "absmax8",
      "absmax8:64",
      "affine8",
      "affine8:64",
      "bnb8-dynamic",
      "int4:g128",
      "int4:g128:asym",
      "fp8",
      "fp8:row"
    })
    public String scheme = "int8";

    private QuantScheme quantScheme = new LlmInt8();
    private final Arena arena = Arena.ofShared();
    private MemorySegment codes = MemorySegment.NULL;
    private MemorySegment statistics = MemorySegment.NULL;
    private final Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);

    @Setup(Level.Trial)
    public void quantize(Memory memory) {
      quantScheme = QuantSchemes.parse(scheme);
      long elements = memory.shape.elements();
      codes = arena.allocate(elements, 64).fill((byte) 1);
      statistics = arena.allocate(elements / 4 + (1 << 16), 64).fill((byte) 1);
      parts.putAll(encode(memory).finish());
      parts.put(Part.CODES, codes.asSlice(0, quantScheme.codeBytes(elements)));
    }

    @TearDown(Level.Trial)
    public void free() {
      arena.close();
    }

    WeightEncoder encode(Memory memory) {
      SegmentAllocator pool = SegmentAllocator.slicingAllocator(statistics);
      WeightEncoder encoder = quantScheme.encoder(memory.shape, memory.type, pool);
      long elements = memory.shape.elements();
      for (long begin = 0; encoder.surveys() && begin < elements; begin += SLICE) {
        encoder.survey(begin, SLICE, slice(memory, begin));
      }
      for (long begin = 0; begin < elements; begin += SLICE) {
        long at = quantScheme.codeBytes(begin);
        MemorySegment target = codes.asSlice(at, quantScheme.codeBytes(SLICE));
        encoder.encode(begin, SLICE, slice(memory, begin), target);
      }
      return encoder;
    }

    private static MemorySegment slice(Memory memory, long begin) {
      return memory.source.asSlice(memory.type.byteSize(begin), memory.type.byteSize(SLICE));
    }

    WeightDecoder decoder(Memory memory) {
      return quantScheme.decoder(
          new QuantizedTensor(quantScheme, memory.shape, memory.type, parts));
    }
  }

  @Benchmark
  public void memcpy(Memory memory, Rate rate) {
    memory.target.copyFrom(memory.source);
    rate.gigabytes += BYTES * 1e-9;
  }

  @Benchmark
  public QuantError encode(Memory memory, Weight weight, Rate rate) {
    rate.gigabytes += BYTES * 1e-9;
    WeightEncoder encoder = weight.encode(memory);
    encoder.finish();
    return encoder.error();
  }

  @Benchmark
  public void decode(Memory memory, Weight weight, Rate rate) {
    rate.gigabytes += BYTES * 1e-9;
    DType type = memory.type;
    WeightDecoder decoder = weight.decoder(memory);
    for (long begin = 0; begin < memory.shape.elements(); begin += SLICE) {
      decoder.decode(
          begin, SLICE, memory.target.asSlice(type.byteSize(begin), type.byteSize(SLICE)), type);
    }
  }
}
