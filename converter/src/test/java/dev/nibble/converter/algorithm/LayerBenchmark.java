package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.Workers;
import dev.nibble.converter.linalg.simd.FmaPeak;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.quant.GridEncoder;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;

/// What a layer takes: GPTQ with its factor. Prints time, operations, their part of what the
/// processor can do (measured before and after each case), and the most memory that the process
/// had, with the Hessian and the weight of 4 bytes an element in it.
///
/// Arguments: the number of threads (2), then cases `out,in,scheme`.
public final class LayerBenchmark {
  private static final int SLICE = 384;

  private final Workers workers;
  private final int threads;

  private LayerBenchmark(int threads, Workers workers) {
    this.threads = threads;
    this.workers = workers;
  }

  public static void main(String[] arguments) throws IOException {
    int threads = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
    String[] cases = {
      "12288,3072,int4:g128", "12288,3072,nf4", "3072,12288,int4:g128", "3072,12288,nf4"
    };
    try (Workers workers = new Workers(threads)) {
      LayerBenchmark benchmark = new LayerBenchmark(threads, workers);
      for (int i = 0; i < Math.max(cases.length, arguments.length - 1); i++) {
        String[] words = (arguments.length > 1 ? arguments[i + 1] : cases[i]).split(",");
        benchmark.run(Integer.parseInt(words[0]), Integer.parseInt(words[1]), words[2]);
        if (i + 2 == arguments.length) {
          break;
        }
      }
    }
  }

  private void run(int out, int in, String id) throws IOException {
    QuantScheme scheme = QuantSchemes.parse(id);
    float[] weight = weight(out, in);
    try (Arena arena = Arena.ofShared()) {
      InputStatistics input = new TestInput(new float[in], in, Optional.of(hessian(in, arena)));
      double peak = peak();
      forgetMemory();
      long start = System.nanoTime();
      GptqFactor factor = GptqFactor.of(input, Optional.empty(), GptqOptions.DEFAULT, threads);
      long factored = System.nanoTime();
      quantize(out, scheme, weight, new Gptq(factor));
      long done = System.nanoTime();
      peak = Math.max(peak, peak());
      double factorFlops = 2.0 / 3 * in * in * in;
      double rowFlops = (double) out * in * in;
      System.out.printf(
          Locale.ROOT,
          "%dx%d %s, %d threads, at most %s%n  factor  %s%n  rows    %s%n  both    %s%n",
          out,
          in,
          id,
          threads,
          memory(),
          rate(factorFlops, factored - start, peak),
          rate(rowFlops, done - factored, peak),
          rate(factorFlops + rowFlops, done - start, peak));
    }
  }

  private static String rate(double flops, long nanos, double peak) {
    return String.format(
        Locale.ROOT,
        "%6.2f s %8.1f Gflop %7.1f Gflop/s = %2.0f %% of the peak of %.0f",
        nanos * 1e-9,
        flops * 1e-9,
        flops / nanos,
        100 * flops / nanos / peak,
        peak);
  }

  private void quantize(int out, QuantScheme scheme, float[] weight, RowQuantizer quantizer) {
    int in = weight.length / out;
    try (Arena arena = Arena.ofShared()) {
      GridEncoder grid = scheme.grid(Shape.of(out, in), arena).orElseThrow();
      quantizer.prepare(grid);
      MemorySegment packed = arena.allocate(scheme.codeBytes(weight.length), 64);
      slices(out, (first, rows) -> grid.survey(first, rows, slice(weight, first, rows, in)));
      grid.surveyed();
      slices(
          out,
          (first, rows) -> {
            float[] values = slice(weight, first, rows, in);
            byte[] codes = new byte[values.length];
            quantizer.quantize(first, rows, values, grid, codes);
            grid.pack(first, rows, codes, packed.asSlice(scheme.codeBytes((long) first * in)));
          });
      grid.finish();
    }
  }

  private static float[] slice(float[] weight, int first, int rows, int in) {
    float[] values = new float[rows * in];
    System.arraycopy(weight, first * in, values, 0, values.length);
    return values;
  }

  @FunctionalInterface
  private interface Slice {
    void rows(int first, int count);
  }

  private void slices(int rows, Slice slice) {
    workers.each(
        Math.ceilDiv(rows, SLICE), i -> slice.rows(i * SLICE, Math.min(SLICE, rows - i * SLICE)));
  }

  /// Operations a nanosecond of all threads, the best of some moments.
  private double peak() {
    double best = 0;
    for (int round = 0; round < 10; round++) {
      int turns = 10_000_000;
      long start = System.nanoTime();
      float[] sums = new float[threads];
      workers.each(threads, i -> sums[i] = FmaPeak.run(turns));
      best = Math.max(best, threads * FmaPeak.operations(turns) / (System.nanoTime() - start));
    }
    return best;
  }

  private static float[] weight(int out, int in) {
    Random random = new Random(1);
    float[] weight = new float[out * in];
    for (int i = 0; i < weight.length; i++) {
      weight[i] = (float) random.nextGaussian() * 0.02f;
    }
    return weight;
  }

  /// Of features that follow their neighbours.
  private static MemorySegment hessian(int in, Arena arena) {
    MemorySegment hessian = arena.allocate(4L * in * in, 64);
    for (int i = 0; i < in; i++) {
      for (int j = 0; j < in; j++) {
        double value = Math.exp(Math.sin(i) + Math.sin(j) - 0.1 * Math.abs(i - j));
        hessian.setAtIndex(LittleEndian.FLOAT, (long) i * in + j, (float) value);
      }
    }
    return hessian;
  }

  /// Starts to measure the most memory anew, where the kernel can.
  private static void forgetMemory() throws IOException {
    System.gc();
    Path path = Path.of("/proc/self/clear_refs");
    if (Files.exists(path)) {
      Files.writeString(path, "5");
    }
  }

  private static String memory() throws IOException {
    Path path = Path.of("/proc/self/status");
    if (!Files.exists(path)) {
      return "an unknown amount of memory";
    }
    return Files.readAllLines(path).stream()
        .filter(line -> line.startsWith("VmHWM"))
        .map(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024 + " MiB resident")
        .findFirst()
        .orElseThrow();
  }
}
