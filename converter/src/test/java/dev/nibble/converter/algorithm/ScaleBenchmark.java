package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.Workers;
import dev.nibble.converter.linalg.simd.FmaPeak;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.quant.QuantSchemes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;

/// What the search for a layer's input scale takes, and its part of what the processor can do. A
/// candidate costs `rows · in²` operations (half of the products, as XᵀX is symmetric), and there
/// are 21.
///
/// Arguments: the number of threads (2), then cases `out,in,scheme`.
public final class ScaleBenchmark {
  private static final int CANDIDATES = Awq.RATIOS + 1;

  private ScaleBenchmark() {}

  public static void main(String[] arguments) {
    int threads = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
    List<String> cases =
        arguments.length > 1
            ? List.of(arguments).subList(1, arguments.length)
            : List.of("3840,3840,nf4", "3840,3840,int4:g128", "3840,10240,nf4");
    for (String one : cases) {
      String[] words = one.split(",", -1);
      run(Integer.parseInt(words[0]), Integer.parseInt(words[1]), words[2], threads);
    }
  }

  private static void run(int out, int in, String scheme, int threads) {
    float[] weight = new float[out * in];
    Random random = new Random(1);
    for (int i = 0; i < weight.length; i++) {
      weight[i] = (float) random.nextGaussian() * 0.02f;
    }
    SearchOptions options = new SearchOptions(SearchOptions.DEFAULT.maxRows(), threads);
    try (Arena arena = Arena.ofShared()) {
      CalibratedLayer layer =
          new CalibratedLayer(
              "layer",
              new TestRows(weight, out, in),
              QuantSchemes.parse(scheme),
              new KnownGram(in, gram(in, arena)));
      double peak = peak(threads);
      long start = System.nanoTime();
      ScaleChoice choice = Awq.search(List.of(layer), true, options);
      long nanos = System.nanoTime() - start;
      peak = Math.max(peak, peak(threads));
      double flops = (double) CANDIDATES * Math.min(out, options.maxRows()) * in * in;
      System.out.printf(
          Locale.ROOT,
          "%dx%d %s, %d threads: %.2f s, %.1f Gflop/s = %.0f %% of the peak of %.0f; ratio %.2f%n",
          out,
          in,
          scheme,
          threads,
          nanos * 1e-9,
          flops / nanos,
          100 * flops / nanos / peak,
          peak,
          choice.ratio());
    }
  }

  private static double peak(int threads) {
    double best = 0;
    try (Workers workers = new Workers(threads)) {
      for (int round = 0; round < 10; round++) {
        int turns = 10_000_000;
        float[] sums = new float[threads];
        long start = System.nanoTime();
        workers.each(threads, i -> sums[i] = FmaPeak.run(turns));
        best = Math.max(best, threads * FmaPeak.operations(turns) / (System.nanoTime() - start));
      }
    }
    return best;
  }

  /// Of features that follow their neighbours.
  private static MemorySegment gram(int in, Arena arena) {
    MemorySegment gram = arena.allocate(4L * in * in, 64);
    for (int i = 0; i < in; i++) {
      for (int j = 0; j < in; j++) {
        double value = Math.exp(Math.sin(i) + Math.sin(j) - 0.1 * Math.abs(i - j));
        gram.setAtIndex(LittleEndian.FLOAT, (long) i * in + j, (float) value);
      }
    }
    return gram;
  }

  private record KnownGram(int features, MemorySegment gram) implements InputStatistics {
    @Override
    public String name() {
      return "layer";
    }

    @Override
    public List<String> modules() {
      return List.of(name());
    }

    @Override
    public long count() {
      return 1;
    }

    @Override
    public double[] meanAbs() {
      double[] mean = new double[features];
      for (int i = 0; i < features; i++) {
        mean[i] = Math.exp(Math.sin(i));
      }
      return mean;
    }

    @Override
    public float[] maxAbs() {
      throw new UnsupportedOperationException("not of this search");
    }

    @Override
    public double[] meanSquare() {
      throw new UnsupportedOperationException("not of this search");
    }

    @Override
    public Optional<MemorySegment> hessian() {
      return Optional.of(gram);
    }

    @Override
    public MemorySegment sample() {
      throw new UnsupportedOperationException("not of this search");
    }

    @Override
    public int sampleRows() {
      return 0;
    }
  }
}
