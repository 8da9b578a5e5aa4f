package dev.nibble.runtime.cuda;

import static dev.nibble.runtime.tensor.shape.Shapes.require;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Binary;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import dev.nibble.runtime.tensor.shape.BroadcastAxes;
import dev.nibble.runtime.tensor.shape.ResultShapes;
import dev.nibble.runtime.tensor.shape.Shapes;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;

/// Checks shapes, makes the result's tensor, and leaves the work to the class that knows how. Work
/// is put into the session's stream; only what answers the host waits for it.
///
/// Types of results, where products are in bfloat16: products give the type of their input; norms
/// and their modulation, which go into products, and attention give bfloat16; element-wise results
/// have the widest type of their operands; what comes from the host is float32.
final class CudaOps implements Ops {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final CudaSession session;
  private final CudaMemory memory;
  private final CudaProducts products;
  private final CudaAttention attention;
  private final CudaNorms norms;
  private final CudaElementwise elementwise;
  private final CudaFakeQuantization fakeQuantization;
  private final CudaLayout layout;
  private final CudaReductions reductions;
  private final CudaGram gram;

  CudaOps(CudaSession session) {
    this.session = session;
    memory = session.memory();
    products = new CudaProducts(session);
    attention = new CudaAttention(session);
    norms = new CudaNorms(session);
    elementwise = new CudaElementwise(session);
    fakeQuantization = new CudaFakeQuantization(session);
    layout = new CudaLayout(session);
    reductions = new CudaReductions(session);
    gram = new CudaGram(session);
  }

  CudaSession session() {
    return session;
  }

  CudaProducts products() {
    return products;
  }

  // ---- memory

  @Override
  public Region region() {
    return memory.open();
  }

  @Override
  public Tensor persist(Tensor tensor) {
    Tensor copy = memory.makeForSession(tensor.dtype(), tensor.shape());
    long bytes = tensor.dtype().byteSize(tensor.shape().elements());
    if (bytes > 0) {
      session.launcher().stream().copy(CudaBuffer.address(copy), CudaBuffer.address(tensor), bytes);
    }
    return copy;
  }

  @Override
  public void release(Tensor tensor) {
    memory.release(tensor);
  }

  @Override
  public Tensor fromHost(float[] values, long... dims) {
    Shape shape = Shape.of(dims);
    require(
        shape.elements() == values.length, "%d values for a tensor of %s", values.length, shape);
    Tensor tensor = memory.make(DType.F32, shape);
    if (values.length > 0) {
      MemorySegment host = session.staging().get((long) Float.BYTES * values.length);
      MemorySegment.copy(values, 0, host, FLOAT, 0, values.length);
      session.launcher().stream().copyIn(CudaBuffer.address(tensor), host);
    }
    return tensor;
  }

  @Override
  public float[] toHost(Tensor x) {
    int count = x.elements();
    float[] values = new float[count];
    if (count > 0) {
      Tensor wide = f32(x);
      MemorySegment host = session.staging().get((long) Float.BYTES * count);
      session.launcher().stream().copyOut(host, CudaBuffer.address(wide));
      session.launcher().stream().synchronize();
      session.done(wide, x);
      MemorySegment.copy(host, FLOAT, 0, values, 0, count);
    }
    return values;
  }

  private Tensor f32(Tensor x) {
    return session.as(DType.F32, x);
  }

  private Optional<Tensor> f32(Optional<Tensor> x) {
    return x.map(this::f32);
  }

  private void done(Optional<Tensor> converted, Optional<Tensor> original) {
    converted.ifPresent(tensor -> session.done(tensor, original.orElseThrow()));
  }

  // ---- products

  @Override
  public Tensor linear(Tensor x, LinearWeight weight, Optional<Tensor> bias) {
    CudaLinearWeight w = CudaLinearWeight.of(weight);
    Tensor out = memory.make(x.dtype(), ResultShapes.linear(x, w, bias));
    Optional<Tensor> wide = f32(bias);
    products.linear(x, Shapes.product(x, 0, x.rank() - 1), w, wide, out);
    done(wide, bias);
    return out;
  }

  @Override
  public Tensor embedding(LinearWeight table, int[] ids) {
    CudaLinearWeight weight = CudaLinearWeight.of(table);
    Tensor out = memory.make(DType.F32, ResultShapes.embedding(weight, ids));
    products.embedding(weight, ids, out);
    return out;
  }

  @Override
  public Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
    Tensor out = memory.make(session.product(), ResultShapes.attention(q, k, v));
    attention.run(q, k, v, options, out);
    return out;
  }

  @Override
  public Tensor conv2d(Tensor x, LinearWeight weight, Optional<Tensor> bias, Conv2d geometry) {
    CudaLinearWeight w = CudaLinearWeight.of(weight);
    Tensor out = memory.make(x.dtype(), ResultShapes.conv2d(x, w, bias, geometry));
    Optional<Tensor> wide = f32(bias);
    products.conv2d(x, w, wide, geometry, out);
    done(wide, bias);
    return out;
  }

  // ---- norms

  @Override
  public Tensor rmsNorm(Tensor x, Optional<Tensor> weight, float eps) {
    Tensor out = memory.make(session.product(), ResultShapes.rmsNorm(x, weight));
    Optional<Tensor> wide = f32(weight);
    norms.rms(x, wide, Optional.empty(), eps, out);
    done(wide, weight);
    return out;
  }

  @Override
  public Tensor layerNorm(Tensor x, float eps) {
    Shapes.requireAxes("layerNorm", x);
    Tensor out = memory.make(session.product(), x.shape());
    norms.layer(x, Optional.empty(), Optional.empty(), eps, out);
    return out;
  }

  @Override
  public Tensor groupNorm(Tensor x, int groups, Tensor weight, Tensor bias, float eps) {
    return groupNorm(x, groups, weight, bias, eps, false);
  }

  @Override
  public Tensor groupNormSilu(Tensor x, int groups, Tensor weight, Tensor bias, float eps) {
    return groupNorm(x, groups, weight, bias, eps, true);
  }

  private Tensor groupNorm(
      Tensor x, int groups, Tensor weight, Tensor bias, float eps, boolean silu) {
    Tensor out = memory.make(session.product(), ResultShapes.groupNorm(x, groups, weight, bias));
    Tensor w = f32(weight);
    Tensor b = f32(bias);
    norms.group(x, groups, w, b, eps, silu, out);
    session.done(b, bias);
    session.done(w, weight);
    return out;
  }

  // ---- element by element

  @Override
  public Tensor unary(Unary function, Tensor x) {
    Tensor out = memory.make(x.dtype(), x.shape());
    elementwise.unary(function, x, out);
    return out;
  }

  @Override
  public Tensor binary(Binary function, Tensor a, Tensor b) {
    BroadcastAxes axes = new BroadcastAxes(function, a.shape(), b.shape());
    Tensor out = memory.make(CudaSession.widest(List.of(a, b)), axes.shape());
    elementwise.binary(function, axes, a, b, out);
    return out;
  }

  @Override
  public Tensor linearCombination(float[] coefficients, List<Tensor> terms) {
    Shape shape = ResultShapes.linearCombination(coefficients, terms);
    Tensor out = memory.make(CudaSession.widest(terms), shape);
    elementwise.linearCombination(coefficients, terms, out);
    return out;
  }

  @Override
  public Tensor affine(Tensor x, float factor, float addend) {
    Tensor out = memory.make(x.dtype(), x.shape());
    session.affine(x, factor, addend, out);
    return out;
  }

  @Override
  public Tensor fakeQuantRows(Tensor x, ActivationType type) {
    Shapes.requireAxes("fakeQuantRows", x);
    Tensor out = memory.make(x.dtype(), x.shape());
    fakeQuantization.rows(x, type, out);
    return out;
  }

  @Override
  public Tensor scaleInputs(Tensor x, Tensor factor) {
    BroadcastAxes axes = new BroadcastAxes(Binary.MUL, x.shape(), factor.shape());
    Tensor out = memory.make(x.dtype(), axes.shape());
    elementwise.binary(Binary.MUL, axes, x, factor, out);
    return out;
  }

  @Override
  public Tensor rope(Tensor x, RopeTable table) {
    Tensor out = memory.make(x.dtype(), ResultShapes.rope(x, table));
    Tensor cos = f32(table.cos());
    Tensor sin = f32(table.sin());
    elementwise.rope(x, cos, sin, table.pairs(), out);
    session.done(sin, table.sin());
    session.done(cos, table.cos());
    return out;
  }

  // ---- layout

  @Override
  public Tensor concat(int axis, List<Tensor> parts) {
    Shape shape = ResultShapes.concat(axis, parts);
    Tensor out = memory.make(CudaSession.widest(parts), shape);
    layout.concat(Shapes.product(out, 0, axis), parts, out);
    return out;
  }

  @Override
  public Tensor slice(Tensor x, int axis, int begin, int end) {
    Tensor out = memory.make(x.dtype(), ResultShapes.slice(x, axis, begin, end));
    layout.slice(x, axis, begin, out);
    return out;
  }

  @Override
  public Tensor permute(Tensor x, int... axes) {
    Tensor out = memory.make(x.dtype(), ResultShapes.permute(x, axes));
    layout.permute(x, axes, out);
    return out;
  }

  @Override
  public Tensor upsampleNearest2x(Tensor x) {
    Tensor out = memory.make(x.dtype(), ResultShapes.upsampleNearest2x(x));
    layout.upsample(x, out);
    return out;
  }

  // ---- numbers for decisions

  @Override
  public float meanAbs(Tensor x) {
    return (float) (reductions.sum(CudaReductions.ABS, x, x) / x.shape().elements());
  }

  @Override
  public float meanAbsDifference(Tensor a, Tensor b) {
    Shapes.requireSame("meanAbsDifference", a, b);
    return (float) (reductions.sum(CudaReductions.ABS_DIFFERENCE, a, b) / a.shape().elements());
  }

  @Override
  public double dot(Tensor a, Tensor b) {
    Shapes.requireSame("dot", a, b);
    return reductions.sum(CudaReductions.PRODUCT, a, b);
  }

  @Override
  public Tensor rowNorm(Tensor x) {
    Tensor out = memory.make(DType.F32, ResultShapes.rows("rowNorm", x));
    reductions.rows(CudaReductions.PRODUCT, x, out);
    return out;
  }

  @Override
  public Tensor rowMeanAbs(Tensor x) {
    Tensor out = memory.make(DType.F32, ResultShapes.rows("rowMeanAbs", x));
    reductions.rows(CudaReductions.ABS, x, out);
    return out;
  }

  // ---- statistics

  @Override
  public void addGram(Tensor sum, int begin, Tensor x) {
    ResultShapes.gram(sum, begin, x);
    gram.add(sum, begin, x);
  }

  @Override
  public Tensor featureSums(Tensor x) {
    Tensor out = memory.make(DType.F32, ResultShapes.featureSums(x));
    reductions.features(x, out);
    return out;
  }

  // ---- fused

  @Override
  public Tensor modulate(Tensor x, Tensor scale, Optional<Tensor> shift) {
    if (!isRow(x, scale) || !shift.map(s -> isRow(x, s)).orElse(true)) {
      return Ops.super.modulate(x, scale, shift);
    }
    Tensor out = memory.make(session.product(), x.shape());
    elementwise.modulate(x, scale, shift, out);
    return out;
  }

  @Override
  public Tensor addGated(Tensor x, Tensor gate, Tensor y) {
    if (!isRow(x, gate) || !x.shape().equals(y.shape())) {
      return Ops.super.addGated(x, gate, y);
    }
    Tensor out = memory.make(CudaSession.widest(List.of(x, gate, y)), x.shape());
    elementwise.addGated(x, gate, y, out);
    return out;
  }

  @Override
  public Tensor swiGlu(Tensor gate, Tensor up) {
    Shapes.requireSame("swiGlu", gate, up);
    Tensor out = memory.make(CudaSession.widest(List.of(gate, up)), gate.shape());
    elementwise.swiGlu(gate, up, out);
    return out;
  }

  @Override
  public Tensor rmsNormModulated(Tensor x, Tensor weight, float eps, Tensor scale) {
    if (!isRow(x, scale) || weight.dtype() != DType.F32) {
      return Ops.super.rmsNormModulated(x, weight, eps, scale);
    }
    Tensor out = memory.make(session.product(), ResultShapes.rmsNorm(x, Optional.of(weight)));
    norms.rms(x, Optional.of(weight), Optional.of(scale), eps, out);
    return out;
  }

  @Override
  public Tensor layerNormModulated(Tensor x, float eps, Tensor scale, Optional<Tensor> shift) {
    if (!isRow(x, scale) || !shift.map(s -> isRow(x, s)).orElse(true)) {
      return Ops.super.layerNormModulated(x, eps, scale, shift);
    }
    Tensor out = memory.make(session.product(), x.shape());
    norms.layer(x, Optional.of(scale), shift, eps, out);
    return out;
  }

  @Override
  public Tensor rmsNormRope(Tensor x, Tensor weight, float eps, RopeTable table) {
    ResultShapes.rmsNorm(x, Optional.of(weight));
    Shape shape = ResultShapes.rope(x, table);
    if (!CudaNorms.takesRope(x, weight, table)) {
      return Ops.super.rmsNormRope(x, weight, eps, table);
    }
    Tensor out = memory.make(session.product(), shape);
    norms.rmsRope(x, weight, eps, table, out);
    return out;
  }

  @Override
  public Tensor addRmsNorm(
      Tensor x, Optional<Tensor> tanhGate, Tensor y, Tensor weight, float eps) {
    if (!tanhGate.map(gate -> isRow(x, gate)).orElse(true)
        || weight.dtype() != DType.F32
        || !x.shape().equals(y.shape())) {
      return Ops.super.addRmsNorm(x, tanhGate, y, weight, eps);
    }
    ResultShapes.rmsNorm(y, Optional.of(weight));
    Tensor out = memory.make(CudaSession.widest(List.of(x, y, tanhGate.orElse(y))), x.shape());
    // Once for all rows.
    Optional<Tensor> gate = tanhGate.map(before -> unary(Unary.TANH, before));
    norms.addRms(x, gate, y, weight, eps, out);
    gate.ifPresent(memory::release);
    return out;
  }

  /// Whether a fused kernel takes the row: float32, one for each item of the batch.
  private static boolean isRow(Tensor x, Tensor row) {
    return row.dtype() == DType.F32 && ResultShapes.isRowOfItems(x, row);
  }

  @Override
  public void close() {
    try {
      memory.close();
    } finally {
      attention.close();
      session.close();
    }
  }
}
