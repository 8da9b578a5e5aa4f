package dev.nibble.runtime.bench;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.bench.DeviceBenchmark.Sheet;
import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.cuda.CudaMeter;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.WeightSource;
import dev.nibble.runtime.tensor.WeightStore;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.function.Supplier;

/// The operations of a block, one by one.
final class OperationBenchmark {
  private static final int TOKENS = 4352;
  private static final int DIM = 3840;
  private static final int HIDDEN = 10240;
  private static final int HEADS = 30;
  private static final int HEAD_DIM = 128;

  /// Weights take turns over so many bytes that none waits in the second-level cache.
  private static final long ROTATED_BYTES = 320L << 20;

  /// Up to this many rows, reading the weight takes longer than multiplying.
  private static final int FEW_ROWS = 16;

  private static final List<String> FORMATS = List.of("bf16", "int8", "nf4");
  private static final int[][] SHAPES = {{DIM, DIM}, {HIDDEN, DIM}, {DIM, HIDDEN}};
  private static final int[] ROWS = {1, 16, 256, TOKENS};

  private final CudaMeter meter;
  private final CudaBackend backend;
  private final Sheet sheet;
  private final Ops ops;

  OperationBenchmark(CudaMeter meter, CudaBackend backend, Sheet sheet) {
    this.meter = meter;
    this.backend = backend;
    this.sheet = sheet;
    ops = meter.ops();
  }

  void run() {
    for (String format : FORMATS) {
      for (int[] shape : SHAPES) {
        weights(format, shape[0], shape[1]);
      }
    }
    attention();
    gram(DIM);
    gram(HIDDEN);
    elementwise();
  }

  /// A piece of work that gives its results back.
  private IntConsumer discarding(Supplier<Tensor> work) {
    return _ -> {
      try (Region _ = ops.region()) {
        var _ = work.get();
      }
    };
  }

  private void weights(String format, int n, int k) {
    String size = n + "x" + k;
    List<Integer> rows = new ArrayList<>();
    for (int m : ROWS) {
      if (sheet.wants(linear(format, m, size))) {
        rows.add(m);
      }
    }
    String decode = "decode %s %s".formatted(format, size);
    boolean decodes = !format.equals("bf16") && sheet.wants(decode);
    if (rows.isEmpty() && !decodes) {
      return;
    }
    try (Arena arena = Arena.ofShared();
        WeightStore store = backend.newWeights("benchmark " + format)) {
      WeightSource source = source(format, n, k, new RandomWeights(arena));
      List<LinearWeight> copies = new ArrayList<>();
      do {
        copies.add(store.linear("weight", source));
      } while (store.byteSize() < ROTATED_BYTES);
      if (decodes) {
        double micros = meter.micros(copies.size(), i -> meter.decode(copies.get(i)));
        sheet.moving(decode, micros, copies.getFirst().byteSize() + 2.0 * n * k);
      }
      for (int m : rows) {
        linear(linear(format, m, size), m, copies);
      }
    }
  }

  private static String linear(String format, int rows, String size) {
    return "linear %s %d x %s".formatted(format, rows, size);
  }

  private static WeightSource source(String format, int n, int k, RandomWeights random) {
    Shape shape = Shape.of(n, k);
    return format.equals("bf16")
        ? new WeightSource.Dense(random.dense(DType.BF16, shape), DType.BF16, shape)
        : new WeightSource.Quantized(random.quantized(QuantSchemes.parse(format), shape));
  }

  private void linear(String op, int m, List<LinearWeight> weights) {
    LinearWeight first = weights.getFirst();
    double n = first.outFeatures();
    double k = first.inFeatures();
    Tensor x = DeviceBenchmark.normal(ops, m, first.inFeatures());
    double micros =
        meter.micros(
            weights.size(),
            i -> {
              try (Region _ = ops.region()) {
                var _ = ops.linear(x, weights.get(i), Optional.empty());
              }
            });
    ops.release(x);
    if (m <= FEW_ROWS) {
      sheet.moving(op, micros, first.byteSize() + 2 * m * (n + k));
    } else {
      sheet.computing(op, micros, 2 * m * n * k);
    }
  }

  /// What calibration adds to a product: the lower triangle is what is counted.
  private void gram(int features) {
    String size = " %dx%d".formatted(TOKENS, features);
    if (!sheet.wants("gram" + size) && !sheet.wants("feature sums" + size)) {
      return;
    }
    Tensor x = DeviceBenchmark.normal(ops, TOKENS, features);
    Tensor sum = ops.fromHost(new float[features * features], features, features);
    if (sheet.wants("gram" + size)) {
      double micros = meter.micros(4, _ -> ops.addGram(sum, 0, x));
      sheet.computing("gram" + size, micros, (double) TOKENS * features * (features + 1));
    }
    moving("feature sums" + size, 2.0 * TOKENS * features, () -> ops.featureSums(x));
    List.of(x, sum).forEach(ops::release);
  }

  private void attention() {
    String op = "attention %d tokens, %d heads of %d".formatted(TOKENS, HEADS, HEAD_DIM);
    if (sheet.wants(op)) {
      Tensor q = heads();
      Tensor k = heads();
      Tensor v = heads();
      double micros =
          meter.micros(4, discarding(() -> ops.attention(q, k, v, AttentionOptions.DEFAULT)));
      sheet.computing(op, micros, 4.0 * TOKENS * TOKENS * DIM);
      List.of(q, k, v).forEach(ops::release);
    }
  }

  private Tensor heads() {
    return DeviceBenchmark.normal(ops, TOKENS, DIM).reshape(1, TOKENS, HEADS, HEAD_DIM);
  }

  private void elementwise() {
    Tensor branch = DeviceBenchmark.normal(ops, TOKENS, DIM).reshape(1, TOKENS, DIM);
    Tensor residual = ops.fromHost(ops.toHost(branch), 1, TOKENS, DIM);
    Tensor row = ops.fromHost(new float[DIM], 1, 1, DIM);
    Tensor weight = row.reshape(DIM);
    double narrow = 2.0 * TOKENS * DIM;
    double wide = 2 * narrow;
    String of = " %dx%d".formatted(TOKENS, DIM);
    moving(
        "norm and modulation" + of,
        wide + narrow,
        () -> ops.rmsNormModulated(residual, weight, 1e-5f, row));
    moving(
        "norm, gate and residual" + of,
        2 * wide + narrow,
        () -> ops.addRmsNorm(residual, Optional.of(row), branch, weight, 1e-5f));
    Tensor cos = ops.fromHost(new float[TOKENS * HEAD_DIM / 2], 1, TOKENS, HEAD_DIM / 2);
    RopeTable table = new RopeTable(cos, cos, RopeTable.Pairs.ADJACENT);
    Tensor heads = branch.reshape(1, TOKENS, HEADS, HEAD_DIM);
    Tensor headWeight = ops.fromHost(new float[HEAD_DIM], HEAD_DIM);
    moving(
        "norm and rotation of heads" + of,
        2 * narrow + 4.0 * TOKENS * HEAD_DIM,
        () -> ops.rmsNormRope(heads, headWeight, 1e-5f, table));
    Tensor gate = DeviceBenchmark.normal(ops, TOKENS, HIDDEN);
    Tensor up = DeviceBenchmark.normal(ops, TOKENS, HIDDEN);
    moving(
        "SwiGLU %dx%d".formatted(TOKENS, HIDDEN),
        3 * 2.0 * TOKENS * HIDDEN,
        () -> ops.swiGlu(gate, up));
    List.of(branch, residual, row, cos, headWeight, gate, up).forEach(ops::release);
  }

  private void moving(String op, double bytes, Supplier<Tensor> work) {
    if (sheet.wants(op)) {
      sheet.moving(op, meter.micros(10, discarding(work)), bytes);
    }
  }
}
