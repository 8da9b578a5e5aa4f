package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantError;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.WeightEncoder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.Map;
import java.util.Optional;
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

/// ggml's block types against ggml's own C and against memcpy. Each thread has a weight of its own,
/// float32, gaussian, in rows of 4096; rates in GB/s count the float32 side, over all threads.
///
/// `-Dggml.lib=FILE` names a libggml-base that was built for this machine; without it the rows of
/// the rival read 0. On a machine that others use too, `-bm sample` shows the best time of many as
/// `p0.00`.
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class GgmlBenchmark {
  private static final int COLUMNS = 4096;

  /// Elements a piece, as the converter cuts them without importance.
  private static final int PIECE = 16_384;

  /// Elements decoded at once; their float32 lie in the first cache.
  private static final int TILE = 4096;

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

    void add(long bytes) {
      gigabytes += bytes * 1e-9;
      long now = cpuNanos();
      cpuSeconds += (now - before) * 1e-9;
      before = now;
    }
  }

  @State(Scope.Thread)
  public static class Weight {
    @Param({
      "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
      "IQ4_XS", "MXFP4"
    })
    public GgmlType type = GgmlType.Q4_K;

    /// Of the float32 weight: 64 lie in the caches, 65536 in memory.
    @Param("64")
    public int kibibytes = 64;

    final Arena arena = Arena.ofShared();
    final FloatReader reader = FloatReader.of(DType.F32);
    final FloatWriter writer = FloatWriter.of(DType.F32);
    final float[] piece = new float[PIECE];
    final float[] importance = new float[COLUMNS];
    Optional<GgmlLibrary> ggml = Optional.empty();
    MemorySegment source = MemorySegment.NULL;
    MemorySegment bf16 = MemorySegment.NULL;
    MemorySegment target = MemorySegment.NULL;
    MemorySegment blocks = MemorySegment.NULL;
    MemorySegment nativeImportance = MemorySegment.NULL;
    int elements;

    @Setup(Level.Trial)
    public void allocate() {
      ggml = GgmlLibrary.named(arena);
      elements = kibibytes << 8;
      source = arena.allocate(elements * 4L, 64);
      bf16 = arena.allocate(elements * 2L, 64);
      target = arena.allocate(elements * 4L, 64).fill((byte) 1);
      blocks = arena.allocate(type.byteSize(elements), 64).fill((byte) 1);
      Random random = new Random(1);
      for (int i = 0; i < PIECE; i++) {
        piece[i] = (float) random.nextGaussian() * 0.02f;
      }
      for (int i = 0; i < COLUMNS; i++) {
        importance[i] = (float) Math.exp(random.nextGaussian());
      }
      nativeImportance = arena.allocateFrom(ValueLayout.JAVA_FLOAT, importance);
      for (int first = 0; first < elements; first += PIECE) {
        writer.write(piece, PIECE, source, first);
        FloatWriter.of(DType.BF16).write(piece, PIECE, bf16, first);
      }
      encode(GgmlCodecs.of(type));
    }

    @TearDown(Level.Trial)
    public void free() {
      arena.close();
    }

    void encode(GgmlCodec codec) {
      for (int first = 0; first < elements; first += PIECE) {
        reader.read(source, first, piece, PIECE);
        codec.encode(piece, 0, PIECE, Optional.empty(), blocks, type.byteSize(first));
      }
    }

    void encodeWeighted(GgmlCodec codec) {
      Optional<float[]> weights = Optional.of(importance);
      for (int first = 0; first < elements; first += COLUMNS) {
        reader.read(source, first, piece, COLUMNS);
        codec.encode(piece, 0, COLUMNS, weights, blocks, type.byteSize(first));
      }
    }

    QuantError encodeWeight(MemorySegment from, DType dtype) {
      try (Arena statistics = Arena.ofConfined()) {
        WeightEncoder encoder = new GgmlBlock(type).encoder(shape(), dtype, statistics);
        encoder.encode(0, elements, from, blocks);
        encoder.finish();
        return encoder.error();
      }
    }

    void decodeWeight(MemorySegment to, DType dtype) {
      GgmlBlock scheme = new GgmlBlock(type);
      scheme
          .decoder(new QuantizedTensor(scheme, shape(), DType.F32, Map.of(Part.CODES, blocks)))
          .decode(0, elements, to, dtype);
    }

    private Shape shape() {
      return Shape.of(elements / COLUMNS, COLUMNS);
    }

    /// To memory.
    void decode(GgmlCodec codec) {
      for (int first = 0; first < elements; first += TILE) {
        codec.decode(blocks, type.byteSize(first), piece, 0, TILE);
        writer.write(piece, TILE, target, first);
      }
    }

    /// To the same array again and again, as a runtime does that uses a tile at once.
    void decodeTiles(GgmlCodec codec) {
      for (int first = 0; first < elements; first += TILE) {
        codec.decode(blocks, type.byteSize(first), piece, 0, TILE);
      }
    }
  }

  @Benchmark
  public void memcpy(Weight weight, Rate rate) {
    weight.target.copyFrom(weight.source);
    rate.add(weight.source.byteSize());
  }

  @Benchmark
  public void encode(Weight weight, Rate rate) {
    weight.encode(GgmlCodecs.of(weight.type));
    rate.add(weight.source.byteSize());
  }

  /// What a conversion runs: blocks and the sums of their errors.
  @Benchmark
  public QuantError encodeWeight(Weight weight, Rate rate) {
    QuantError error = weight.encodeWeight(weight.source, DType.F32);
    rate.add(weight.source.byteSize());
    return error;
  }

  /// Likewise from BF16; the rate counts float32, as all do.
  @Benchmark
  public QuantError encodeWeightBf16(Weight weight, Rate rate) {
    QuantError error = weight.encodeWeight(weight.bf16, DType.BF16);
    rate.add(weight.source.byteSize());
    return error;
  }

  /// What a reader runs, to float32 in memory.
  @Benchmark
  public void decodeWeight(Weight weight, Rate rate) {
    weight.decodeWeight(weight.target, DType.F32);
    rate.add(weight.target.byteSize());
  }

  /// Likewise to BF16; the rate counts float32, as all do.
  @Benchmark
  public void decodeWeightBf16(Weight weight, Rate rate) {
    weight.decodeWeight(weight.target.asSlice(0, weight.elements * 2L), DType.BF16);
    rate.add(weight.target.byteSize());
  }

  @Benchmark
  public void encodeGgml(Weight weight, Rate rate) throws InterruptedException {
    if (weight.ggml.isPresent()) {
      weight
          .ggml
          .get()
          .encode(
              weight.type,
              weight.source,
              weight.elements / COLUMNS,
              COLUMNS,
              MemorySegment.NULL,
              weight.blocks);
      rate.add(weight.source.byteSize());
    } else {
      Thread.sleep(1);
    }
  }

  @Benchmark
  public void encodeWeighted(Weight weight, Rate rate) {
    weight.encodeWeighted(GgmlCodecs.of(weight.type));
    rate.add(weight.source.byteSize());
  }

  @Benchmark
  public void encodeWeightedGgml(Weight weight, Rate rate) throws InterruptedException {
    if (weight.ggml.isPresent()) {
      weight
          .ggml
          .get()
          .encode(
              weight.type,
              weight.source,
              weight.elements / COLUMNS,
              COLUMNS,
              weight.nativeImportance,
              weight.blocks);
      rate.add(weight.source.byteSize());
    } else {
      Thread.sleep(1);
    }
  }

  @Benchmark
  public void decode(Weight weight, Rate rate) {
    weight.decode(GgmlCodecs.of(weight.type));
    rate.add(weight.target.byteSize());
  }

  @Benchmark
  public void decodeTiles(Weight weight, Rate rate) {
    weight.decodeTiles(GgmlCodecs.of(weight.type));
    rate.add(weight.target.byteSize());
  }

  @Benchmark
  public void decodeTilesGgml(Weight weight, Rate rate) throws InterruptedException {
    if (weight.ggml.isPresent()) {
      for (int first = 0; first < weight.elements; first += TILE) {
        MemorySegment tile = weight.blocks.asSlice(weight.type.byteSize(first));
        weight.ggml.get().decode(weight.type, tile, weight.target, TILE);
      }
      rate.add(weight.target.byteSize());
    } else {
      Thread.sleep(1);
    }
  }

  @Benchmark
  public void decodeGgml(Weight weight, Rate rate) throws InterruptedException {
    if (weight.ggml.isPresent()) {
      weight.ggml.get().decode(weight.type, weight.blocks, weight.target, weight.elements);
      rate.add(weight.target.byteSize());
    } else {
      Thread.sleep(1);
    }
  }
}
