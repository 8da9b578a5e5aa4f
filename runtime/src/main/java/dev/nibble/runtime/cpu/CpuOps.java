package dev.nibble.runtime.cpu;

import static dev.nibble.runtime.tensor.shape.Shapes.require;

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
import dev.nibble.runtime.tensor.shape.ResultShapes;
import dev.nibble.runtime.tensor.shape.Shapes;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// Checks shapes, makes the result's tensor, and leaves the work to the class that knows how.
final class CpuOps implements Ops {
  private static final float[] NONE = {};

  private final Machine machine;
  private final SessionMemory memory;
  private final AttentionKernel attention;
  private final MatMul matMul;
  private final Gram gram;
  private final Elementwise elementwise;
  private final Norms norms;
  private final Reductions reductions;
  private final FakeQuantization fakeQuantization;
  private final Layout layout;

  CpuOps(Machine machine, SessionMemory memory, AttentionKernel attention) {
    this.machine = machine;
    this.memory = memory;
    this.attention = attention;
    matMul = new MatMul(machine);
    gram = new Gram(machine);
    elementwise = new Elementwise(machine);
    norms = new Norms(machine);
    reductions = new Reductions(machine);
    fakeQuantization = new FakeQuantization(machine);
    layout = new Layout(machine);
  }

  // ---- memory

  @Override
  public Region region() {
    return memory.open();
  }

  @Override
  public Tensor persist(Tensor tensor) {
    Tensor copy = memory.makeForSession(tensor.shape());
    copy(tensor, CpuBuffer.array(copy));
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
    Tensor tensor = memory.make(shape);
    System.arraycopy(values, 0, CpuBuffer.array(tensor), 0, values.length);
    return tensor;
  }

  @Override
  public float[] toHost(Tensor x) {
    int at = CpuBuffer.offset(x);
    return Arrays.copyOfRange(CpuBuffer.array(x), at, at + x.elements());
  }

  private static void copy(Tensor from, float[] to) {
    System.arraycopy(CpuBuffer.array(from), CpuBuffer.offset(from), to, 0, from.elements());
  }

  private Tensor like(Tensor x) {
    return memory.make(x.shape());
  }

  // ---- products

  @Override
  public Tensor linear(Tensor x, LinearWeight weight, Optional<Tensor> bias) {
    CpuLinearWeight w = CpuLinearWeight.of(weight);
    Tensor out = memory.make(ResultShapes.linear(x, w, bias));
    matMul.linear(product(Shapes.product(x, 0, x.rank() - 1), w, bias, out), x);
    return out;
  }

  private static MatMul.Product product(
      int rows, CpuLinearWeight weight, Optional<Tensor> bias, Tensor out) {
    return new MatMul.Product(
        rows,
        weight,
        bias.map(CpuBuffer::array).orElse(NONE),
        bias.map(CpuBuffer::offset).orElse(0),
        CpuBuffer.array(out));
  }

  @Override
  public Tensor embedding(LinearWeight table, int[] ids) {
    CpuLinearWeight weight = CpuLinearWeight.of(table);
    int d = weight.inFeatures();
    Tensor out = memory.make(ResultShapes.embedding(weight, ids));
    float[] row = machine.scratch().weights.get(d);
    for (int i = 0; i < ids.length; i++) {
      weight.read(ids[i], 1, row, machine.scratch().decode);
      System.arraycopy(row, 0, CpuBuffer.array(out), i * d, d);
    }
    return out;
  }

  @Override
  public Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
    Tensor out = memory.make(ResultShapes.attention(q, k, v));
    attention.run(machine, new AttentionCall(q, k, v, options, CpuBuffer.array(out)));
    return out;
  }

  @Override
  public Tensor conv2d(Tensor x, LinearWeight weight, Optional<Tensor> bias, Conv2d geometry) {
    CpuLinearWeight w = CpuLinearWeight.of(weight);
    Tensor out = memory.make(ResultShapes.conv2d(x, w, bias, geometry));
    matMul.run(
        product(Shapes.product(out, 0, 3), w, bias, out),
        new ConvolutionRows(machine.kernels(), x, geometry));
    return out;
  }

  // ---- norms

  @Override
  public Tensor rmsNorm(Tensor x, Optional<Tensor> weight, float eps) {
    Tensor out = memory.make(ResultShapes.rmsNorm(x, weight));
    norms.rms(
        x,
        weight.map(CpuBuffer::array).orElse(NONE),
        weight.map(CpuBuffer::offset).orElse(0),
        eps,
        CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor layerNorm(Tensor x, float eps) {
    Shapes.requireAxes("layerNorm", x);
    Tensor out = like(x);
    norms.layer(x, eps, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor groupNorm(Tensor x, int groups, Tensor weight, Tensor bias, float eps) {
    Tensor out = memory.make(ResultShapes.groupNorm(x, groups, weight, bias));
    norms.group(x, groups, weight, bias, eps, CpuBuffer.array(out));
    return out;
  }

  // ---- element by element

  @Override
  public Tensor unary(Unary function, Tensor x) {
    Tensor out = like(x);
    elementwise.unary(function, x, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor binary(Binary function, Tensor a, Tensor b) {
    Broadcast broadcast = new Broadcast(function, a.shape(), b.shape());
    Tensor out = memory.make(broadcast.shape());
    broadcast.run(machine, function, a, b, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor linearCombination(float[] coefficients, List<Tensor> terms) {
    Tensor out = memory.make(ResultShapes.linearCombination(coefficients, terms));
    elementwise.linearCombination(coefficients, terms, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor affine(Tensor x, float factor, float addend) {
    Tensor out = like(x);
    elementwise.affine(x, factor, addend, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor fakeQuantRows(Tensor x, ActivationType type) {
    Shapes.requireAxes("fakeQuantRows", x);
    Tensor out = like(x);
    fakeQuantization.rows(x, type, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor rope(Tensor x, RopeTable table) {
    Tensor out = memory.make(ResultShapes.rope(x, table));
    layout.rope(x, table, CpuBuffer.array(out));
    return out;
  }

  // ---- layout

  @Override
  public Tensor concat(int axis, List<Tensor> parts) {
    Tensor out = memory.make(ResultShapes.concat(axis, parts));
    Layout.concat(Shapes.product(out, 0, axis), parts, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor slice(Tensor x, int axis, int begin, int end) {
    Tensor out = memory.make(ResultShapes.slice(x, axis, begin, end));
    Layout.slice(
        x,
        Shapes.product(x, 0, axis),
        x.dim(axis),
        Shapes.product(x, axis + 1, x.rank()),
        begin,
        end,
        CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor permute(Tensor x, int... axes) {
    Tensor out = memory.make(ResultShapes.permute(x, axes));
    layout.permute(x, axes, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor upsampleNearest2x(Tensor x) {
    Tensor out = memory.make(ResultShapes.upsampleNearest2x(x));
    layout.upsample(x, CpuBuffer.array(out));
    return out;
  }

  // ---- numbers for decisions

  @Override
  public float meanAbs(Tensor x) {
    return reductions.meanAbs(x);
  }

  @Override
  public float meanAbsDifference(Tensor a, Tensor b) {
    Shapes.requireSame("meanAbsDifference", a, b);
    return reductions.meanAbsDifference(a, b);
  }

  @Override
  public double dot(Tensor a, Tensor b) {
    Shapes.requireSame("dot", a, b);
    return reductions.dot(a, b);
  }

  @Override
  public Tensor rowNorm(Tensor x) {
    Tensor out = memory.make(ResultShapes.rows("rowNorm", x));
    reductions.rowNorm(x, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor rowMeanAbs(Tensor x) {
    Tensor out = memory.make(ResultShapes.rows("rowMeanAbs", x));
    reductions.rowMeanAbs(x, CpuBuffer.array(out));
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
    Tensor out = memory.make(ResultShapes.featureSums(x));
    reductions.features(x, CpuBuffer.array(out));
    return out;
  }

  // ---- fused

  @Override
  public Tensor modulate(Tensor x, Tensor scale, Optional<Tensor> shift) {
    if (!ResultShapes.isRowOfItems(x, scale)
        || !shift.map(s -> ResultShapes.isRowOfItems(x, s)).orElse(true)) {
      return Ops.super.modulate(x, scale, shift);
    }
    Tensor out = like(x);
    elementwise.modulate(x, scale, shift, x.dim(1), x.dim(2), CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor addGated(Tensor x, Tensor gate, Tensor y) {
    if (!ResultShapes.isRowOfItems(x, gate) || !x.shape().equals(y.shape())) {
      return Ops.super.addGated(x, gate, y);
    }
    Tensor out = like(x);
    elementwise.addGated(x, gate, y, x.dim(1), x.dim(2), CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor swiGlu(Tensor gate, Tensor up) {
    Shapes.requireSame("swiGlu", gate, up);
    Tensor out = like(gate);
    elementwise.swiGlu(gate, up, CpuBuffer.array(out));
    return out;
  }

  /// In one buffer: a picture's features are the largest tensors there are.
  @Override
  public Tensor groupNormSilu(Tensor x, int groups, Tensor weight, Tensor bias, float eps) {
    Tensor out = groupNorm(x, groups, weight, bias, eps);
    elementwise.unary(Unary.SILU, out, CpuBuffer.array(out));
    return out;
  }

  @Override
  public void close() {
    matMul.close();
    memory.close();
  }
}
