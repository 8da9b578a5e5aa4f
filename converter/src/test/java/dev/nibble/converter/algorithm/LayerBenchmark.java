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
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;

/// What a layer takes: GPTQ with its factor, and a low-rank branch. Prints time, operations, their
/// part of what the processor can do (both by processor time, so that a busy machine does little
/// harm), and the most memory that the process had, with the Hessian and the weight of 4 bytes an
/// element in it.
///
/// Arguments: the number of threads (2), then cases `out,in,scheme`.
public final class LayerBenchmark {
  private static final int SLICE = 384;
  private static final List<String> CASES =
      List.of("12288,3072,int4:g128", "12288,3072,nf4", "3072,12288,int4:g128", "3072,12288,nf4");

  private final Workers workers;
  private final int threads;

  private LayerBenchmark(int threads, Workers workers) {
    this.threads = threads;
    this.workers = workers;
  }

  public static void main(String[] arguments) throws IOException {
    int threads = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
    List<String> cases =
        arguments.length > 1 ? List.of(arguments).subList(1, arguments.length) : CASES;
    try (Workers workers = new Workers(threads)) {
      LayerBenchmark benchmark = new LayerBenchmark(threads, workers);
      for (String one : cases) {
        String[] words = one.split(",");
        benchmark.run(Integer.parseInt(words[0]), Integer.parseInt(words[1]), words[2]);
      }
    }
  }

  private void run(int out, int in, String id) throws IOException {
    QuantScheme scheme = QuantSchemes.parse(id);
    float[] weight = weight(out, in);
    try (Arena arena = Arena.ofShared()) {
      InputStatistics input = new TestInput(new float[in], in, Optional.of(hessian(in, arena)));
      System.out.printf(Locale.ROOT, "%dx%d %s, %d threads%n", out, in, id, threads);
      runGptq("as published", weight, out, input, scheme, GptqOptions.DEFAULT);
      runGptq("as quantize --gptq", weight, out, input, scheme, GptqOptions.RECOMMENDED);
      runSvd(weight, out, input, scheme, peak());
    }
  }

  private void runGptq(
      String name,
      float[] weight,
      int out,
      InputStatistics input,
      QuantScheme scheme,
      GptqOptions options)
      throws IOException {
    double in = input.features();
    double peak = peak();
    forgetMemory();
    Time start = Time.now();
    GptqFactor factor = GptqFactor.of(input, Optional.empty(), options, threads);
    Time factored = Time.now();
    quantize(out, scheme, weight, new Gptq(factor));
    Time done = Time.now();
    peak = Math.max(peak, peak());
    double factorWork = 2.0 / 3 * in * in * in * 1e-9;
    double rowWork = out * in * in * 1e-9;
    System.out.printf(
        Locale.ROOT,
        " %s, at most %s%n  factor  %s%n  rows    %s%n  both    %s%n",
        name,
        memory(),
        factored.since(start).rate(factorWork, peak),
        done.since(factored).rate(rowWork, peak),
        done.since(start).rate(factorWork + rowWork, peak));
  }

  /// A branch of rank 32, in as many rounds as by default.
  private void runSvd(
      float[] weight, int out, InputStatistics input, QuantScheme scheme, double peak)
      throws IOException {
    int in = input.features();
    forgetMemory();
    WeightRows rows =
        new WeightRows() {
          @Override
          public int rows() {
            return out;
          }

          @Override
          public int columns() {
            return in;
          }

          @Override
          public void read(int first, int count, float[] target) {
            System.arraycopy(weight, first * in, target, 0, count * in);
          }
        };
    SvdDecomposition.Options options = SvdDecomposition.Options.DEFAULT;
    Time start = Time.now();
    SvdDecomposition.of(
        rows,
        Optional.of(new SvdDecomposition.Input(input, Optional.empty())),
        scheme,
        new RoundToNearest(in),
        options,
        threads);
    Time taken = Time.now().since(start);
    double carried = options.rank() + 10;
    double products = 2 * (options.iterations() + 1) * (2.0 * out * in + (double) in * in);
    double work = options.rounds() * carried * products * 1e-9;
    System.out.printf(
        Locale.ROOT,
        " branch of rank 32, at most %2$s%n          %1$s%n",
        taken.rate(work, peak),
        memory());
  }

  /// One part of the work.
  ///
  /// @param wall seconds on the clock
  /// @param cpu seconds of processor time, of all threads
  private record Time(double wall, double cpu) {
    static Time now() {
      return new Time(System.nanoTime() * 1e-9, cpuSeconds());
    }

    private static double cpuSeconds() {
      return ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO).toNanos()
          * 1e-9;
    }

    Time since(Time start) {
      return new Time(wall - start.wall, cpu - start.cpu);
    }

    String rate(double gigaflops, double peak) {
      return String.format(
          Locale.ROOT,
          "%6.2f s, %6.2f s of processors, %7.1f Gflop, %3.0f %% of %.0f Gflop/s a core",
          wall,
          cpu,
          gigaflops,
          100 * gigaflops / cpu / peak,
          peak);
    }
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

  /// Operations a nanosecond of one thread's processor time, the best of some moments.
  private static double peak() {
    double best = 0;
    for (int round = 0; round < 20; round++) {
      int turns = 2_000_000;
      long start = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
      float sum = FmaPeak.run(turns);
      long nanos = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - start;
      best = Math.max(best, sum > 0 ? FmaPeak.operations(turns) / nanos : 0);
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
