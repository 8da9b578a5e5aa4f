package dev.nibble.runtime.cpu;

import dev.nibble.formats.DType;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.cpu.simd.FmaPeak;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.TestWeights;
import dev.nibble.runtime.tensor.Unary;
import dev.nibble.runtime.tensor.WeightSource;
import dev.nibble.runtime.tensor.WeightStore;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.function.Function;

/// Times of the CPU's operations beside the most multiply-adds that the same threads did in the
/// same run. See PERFORMANCE.md.
public final class CpuBenchmark {
  private static final long WARM_NANOS = 1000_000_000;
  private static final long TIMED_NANOS = 400_000_000;

  private final Random random = new Random(1);
  private final CpuBackend backend;
  private final Ops ops;
  private final WeightStore weights;
  private final double peak;
  private final int threads;
  private final String filter;

  /// Keeps results alive.
  private Object sink = "";

  private CpuBenchmark(int threads, String filter) {
    this.threads = threads;
    this.filter = filter;
    // First of all, while no other thread warms kernels up.
    WorkerPool pool = new WorkerPool(threads);
    float[] results = new float[threads];
    for (int i = 0; i < 2_000; i++) {
      results[0] = FmaPeak.run(2_000);
    }
    Scratch scratch = new Scratch();
    // So long that each task has a thread of its own before any ends.
    int turns = 200_000;
    double nanos =
        nanos(() -> pool.run(threads, scratch, (i, _) -> results[i] = FmaPeak.run(turns)));
    peak = threads * FmaPeak.operations(turns) / nanos;
    pool.close();
    backend = new CpuBackend(threads);
    ops = backend.newOps("benchmark");
    weights = backend.newWeights("benchmark");
    print("%-44s %10.1f GFLOP/s%n", threads + " threads: multiply-adds in registers", peak);
  }

  /// Arguments: threads, and what names must contain.
  public static void main(String[] arguments) {
    int threads =
        arguments.length > 0
            ? Integer.parseInt(arguments[0])
            : Runtime.getRuntime().availableProcessors();
    new CpuBenchmark(threads, arguments.length > 1 ? arguments[1] : "").run();
  }

  private void run() {
    for (String type : new String[] {"F32", "BF16", "nf4", "int8"}) {
      linear(type, 64, 192, 192);
      linear(type, 64, 512, 192);
      linear(type, 64, 192, 512);
      linear(type, 32, 192, 192);
      linear(type, 1, 768, 256);
      linear(type, 64, 3840, 3840);
      linear(type, 1024, 3840, 3840);
    }
    gram(64, 192);
    gram(64, 512);
    gram(4352, 3840);
    attention(32, 3, 64);
    attention(64, 3, 64);
    attention(2048, 4, 128);
    conv(32, 64, 64);
    conv(64, 32, 32);
    conv(64, 32, 3);
    conv(128, 128, 128);
    Tensor x = tensor(1, 64, 192);
    Tensor wide = tensor(1, 64, 512);
    Tensor row = tensor(1, 1, 192);
    Tensor weight = tensor(192);
    Tensor heads = tensor(1, 64, 3, 64);
    Tensor headWeight = tensor(64);
    Tensor angles = tensor(64, 32);
    time("rmsNorm 64x192", 0, o -> o.rmsNorm(x, Optional.of(weight), 1e-5f));
    time("rmsNorm of heads 64x3x64", 0, o -> o.rmsNorm(heads, Optional.of(headWeight), 1e-5f));
    time("layerNorm 64x192", 0, o -> o.layerNorm(x, 1e-5f));
    time("modulate 64x192", 0, o -> o.modulate(x, row, Optional.empty()));
    time("addGated 64x192", 0, o -> o.addGated(x, row, x));
    time("add 64x192", 0, o -> o.add(x, x));
    time("swiGlu 64x512", 0, o -> o.swiGlu(wide, wide));
    time("silu 64x512", 0, o -> o.unary(Unary.SILU, wide));
    time("gelu 64x512", 0, o -> o.unary(Unary.GELU_TANH, wide));
    time("tanh 64x512", 0, o -> o.unary(Unary.TANH, wide));
    time(
        "rope 64x3x64",
        0,
        o -> o.rope(heads, new RopeTable(angles, angles, RopeTable.Pairs.ADJACENT)));
    Tensor picture = tensor(1, 64, 64, 64);
    Tensor channels = tensor(64);
    time("groupNorm 64x64x64", 0, o -> o.groupNorm(picture, 32, channels, channels, 1e-6f));
    time("silu 64x64x64", 0, o -> o.unary(Unary.SILU, picture));
    time("upsample 64x64x64", 0, o -> o.upsampleNearest2x(picture));
    ops.close();
    weights.close();
    backend.close();
    print("%s%n", sink.getClass().getSimpleName());
  }

  private void linear(String type, int rows, int out, int in) {
    float[] values = values(out * in);
    WeightSource source =
        type.equals("F32") || type.equals("BF16")
            ? TestWeights.dense(values, DType.valueOf(type), out, in)
            : TestWeights.quantized(values, QuantSchemes.parse(type), out, in);
    LinearWeight weight = weights.linear("w", source);
    Tensor x = tensor(rows, in);
    Tensor y = tensor(rows, in);
    boolean[] other = {false};
    time(
        "linear %s %dx%d, %d rows".formatted(type, out, in, rows),
        2.0 * rows * out * in,
        o -> {
          // Two inputs in turn, so that each is packed.
          other[0] = !other[0];
          return o.linear(other[0] ? x : y, weight, Optional.empty());
        });
  }

  /// The lower triangle is all that is computed, and counted.
  private void gram(int rows, int in) {
    Tensor x = tensor(rows, in);
    Tensor sum = tensor(in, in);
    time(
        "addGram %dx%d".formatted(rows, in),
        (double) rows * in * (in + 1),
        o -> {
          o.addGram(sum, 0, x);
          return sum;
        });
    time("featureSums %dx%d".formatted(rows, in), 0, o -> o.featureSums(x));
    ops.release(sum);
    ops.release(x);
  }

  private void attention(int tokens, int heads, int dim) {
    Tensor q = tensor(1, tokens, heads, dim);
    time(
        "attention %d tokens, %d heads of %d".formatted(tokens, heads, dim),
        4.0 * tokens * tokens * heads * dim,
        o -> o.attention(q, q, q, AttentionOptions.DEFAULT));
  }

  private void conv(int size, int in, int out) {
    Tensor x = tensor(1, size, size, in);
    LinearWeight weight =
        weights.linear("w", TestWeights.dense(values(out * 9 * in), DType.F32, out, 9L * in));
    time(
        "conv2d 3x3 %dx%d, %d to %d".formatted(size, size, in, out),
        2.0 * size * size * 9 * in * out,
        o -> o.conv2d(x, weight, Optional.empty(), Conv2d.SAME_3X3));
  }

  private Tensor tensor(long... dims) {
    long size = 1;
    for (long dim : dims) {
      size *= dim;
    }
    return ops.fromHost(values((int) size), dims);
  }

  private float[] values(int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) {
      values[i] = random.nextFloat(-1, 1);
    }
    return values;
  }

  private void time(String name, double operations, Function<Ops, Tensor> operation) {
    if (!name.contains(filter)) {
      return;
    }
    double nanos =
        nanos(() -> {
          try (Region _ = ops.region()) {
            sink = operation.apply(ops);
          }
        });
    if (operations == 0) {
      print("%-44s %10.2f us%n", name, nanos / 1e3);
    } else {
      double rate = operations / nanos;
      print("%-44s %10.2f us %8.1f GFLOP/s %3.0f %%%n", name, nanos / 1e3, rate, 100 * rate / peak);
    }
  }

  /// The time of one run: the fastest of batches, for others use the machine too. With one thread
  /// it is the processor time of that thread.
  private double nanos(Runnable operation) {
    long start = System.nanoTime();
    long runs = 0;
    while (System.nanoTime() - start < WARM_NANOS || runs < 2) {
      operation.run();
      runs++;
    }
    long batch = Math.clamp(runs / 200, 1, 1000);
    double best = Double.MAX_VALUE;
    start = System.nanoTime();
    while (System.nanoTime() - start < TIMED_NANOS) {
      long begin = clock();
      for (int i = 0; i < batch; i++) {
        operation.run();
      }
      best = Math.min(best, (double) (clock() - begin) / batch);
    }
    return best;
  }

  private long clock() {
    return threads == 1
        ? ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime()
        : System.nanoTime();
  }

  @SuppressWarnings("AnnotateFormatMethod") // its annotation would be a dependency more
  private static void print(String format, Object... arguments) {
    System.out.printf(Locale.ROOT, format, arguments);
  }
}
