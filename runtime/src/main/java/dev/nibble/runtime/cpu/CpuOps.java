package dev.nibble.runtime.cpu;

import static dev.nibble.runtime.cpu.Shapes.require;

import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Binary;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/// Checks shapes, makes the result's tensor, and leaves the work to the class that knows how.
final class CpuOps implements Ops {
  private static final float[] NONE = {};

  private final Machine machine;
  private final SessionMemory memory;
  private final AttentionKernel attention;
  private final MatMul matMul;
  private final Elementwise elementwise;
  private final Norms norms;
  private final Reductions reductions;
  private final Layout layout;

  CpuOps(Machine machine, SessionMemory memory, AttentionKernel attention) {
    this.machine = machine;
    this.memory = memory;
    this.attention = attention;
    matMul = new MatMul(machine);
    elementwise = new Elementwise(machine);
    norms = new Norms(machine);
    reductions = new Reductions(machine);
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
    require(
        x.rank() > 0 && x.dim(-1) == w.inFeatures(),
        "linear of %s with a weight of [%d, %d]",
        x.shape(),
        w.outFeatures(),
        w.inFeatures());
    bias.ifPresent(b -> Shapes.requireVector("linear", b, w.outFeatures()));
    Tensor out = memory.make(Shapes.withLast(x, w.outFeatures()));
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
    for (int id : ids) {
      require(
          id >= 0 && id < weight.outFeatures(),
          "embedding of id %d in a table of [%d, %d]",
          id,
          weight.outFeatures(),
          d);
    }
    Tensor out = memory.make(Shape.of(ids.length, d));
    float[] row = machine.scratch().weights.get(d);
    for (int i = 0; i < ids.length; i++) {
      weight.read(ids[i], 1, row, machine.scratch().decode);
      System.arraycopy(row, 0, CpuBuffer.array(out), i * d, d);
    }
    return out;
  }

  @Override
  public Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
    AttentionCall.check(q, k, v);
    Tensor out = memory.make(Shapes.withLast(q, v.dim(3)));
    attention.run(machine, new AttentionCall(q, k, v, options, CpuBuffer.array(out)));
    return out;
  }

  @Override
  public Tensor conv2d(Tensor x, LinearWeight weight, Optional<Tensor> bias, Conv2d geometry) {
    Shapes.requireRank("conv2d", x, 4, "[B, H, W, C]");
    CpuLinearWeight w = CpuLinearWeight.of(weight);
    int outHeight = geometry.outHeight(x.dim(1));
    int outWidth = geometry.outWidth(x.dim(2));
    require(
        w.inFeatures() == geometry.kernel() * geometry.kernel() * x.dim(3)
            && outHeight > 0
            && outWidth > 0,
        "conv2d of %s with a weight of [%d, %d] and %s",
        x.shape(),
        w.outFeatures(),
        w.inFeatures(),
        geometry);
    bias.ifPresent(b -> Shapes.requireVector("conv2d", b, w.outFeatures()));
    Tensor out = memory.make(Shape.of(x.dim(0), outHeight, outWidth, w.outFeatures()));
    matMul.run(
        product(x.dim(0) * outHeight * outWidth, w, bias, out),
        new ConvolutionRows(machine.kernels(), x, geometry));
    return out;
  }

  // ---- norms

  @Override
  public Tensor rmsNorm(Tensor x, Optional<Tensor> weight, float eps) {
    Shapes.requireAxes("rmsNorm", x);
    weight.ifPresent(w -> Shapes.requireVector("rmsNorm", w, x.dim(-1)));
    Tensor out = like(x);
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
    Shapes.requireRank("groupNorm", x, 4, "[B, H, W, C]");
    require(
        groups > 0 && x.dim(3) % groups == 0, "groupNorm of %s in %d groups", x.shape(), groups);
    Shapes.requireVector("groupNorm", weight, x.dim(3));
    Shapes.requireVector("groupNorm", bias, x.dim(3));
    Tensor out = like(x);
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
    require(
        !terms.isEmpty() && coefficients.length == terms.size(),
        "linearCombination of %d terms with %d coefficients",
        terms.size(),
        coefficients.length);
    for (Tensor term : terms) {
      Shapes.requireSame("linearCombination", terms.getFirst(), term);
    }
    Tensor out = like(terms.getFirst());
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
  public Tensor rope(Tensor x, RopeTable table) {
    Shapes.requireRank("rope", x, 4, "[B, T, H, D]");
    Tensor cos = table.cos();
    int half = x.dim(3) / 2;
    Shape perToken = Shape.of(x.dim(1), half);
    Shape perItem = Shape.of(x.dim(0), x.dim(1), half);
    require(
        x.dim(3) % 2 == 0
            && cos.shape().equals(table.sin().shape())
            && (cos.shape().equals(perToken) || cos.shape().equals(perItem)),
        "rope of %s with cosines of %s and sines of %s",
        x.shape(),
        cos.shape(),
        table.sin().shape());
    Tensor out = like(x);
    layout.rope(x, table, CpuBuffer.array(out));
    return out;
  }

  // ---- layout

  @Override
  public Tensor concat(int axis, List<Tensor> parts) {
    require(!parts.isEmpty(), "concat of nothing");
    Tensor first = parts.getFirst();
    Shapes.requireAxis("concat", first, axis);
    long size = 0;
    for (Tensor part : parts) {
      require(
          part.rank() == first.rank()
              && Shapes.with(part, axis, 0).equals(Shapes.with(first, axis, 0)),
          "concat along axis %d of %s and %s",
          axis,
          first.shape(),
          part.shape());
      size += part.dim(axis);
    }
    Tensor out = memory.make(Shapes.with(first, axis, size));
    Layout.concat(Shapes.product(first, 0, axis), parts, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor slice(Tensor x, int axis, int begin, int end) {
    Shapes.requireAxis("slice", x, axis);
    require(
        0 <= begin && begin <= end && end <= x.dim(axis),
        "slice [%d, %d) along axis %d of %s",
        begin,
        end,
        axis,
        x.shape());
    Tensor out = memory.make(Shapes.with(x, axis, (long) end - begin));
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
    BitSet seen = new BitSet();
    long[] dims = new long[axes.length];
    for (int i = 0; i < axes.length; i++) {
      require(
          axes.length == x.rank() && axes[i] >= 0 && axes[i] < x.rank() && !seen.get(axes[i]),
          "permute of %s by axes %s",
          x.shape(),
          Arrays.toString(axes));
      seen.set(axes[i]);
      dims[i] = x.dim(axes[i]);
    }
    require(axes.length == x.rank(), "permute of %s without axes", x.shape());
    Tensor out = memory.make(Shape.of(dims));
    layout.permute(x, axes, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor upsampleNearest2x(Tensor x) {
    Shapes.requireRank("upsampleNearest2x", x, 4, "[B, H, W, C]");
    Tensor out = memory.make(Shape.of(x.dim(0), 2L * x.dim(1), 2L * x.dim(2), x.dim(3)));
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
    Shapes.requireAxes("rowNorm", x);
    Tensor out = memory.make(Shapes.withLast(x, 1));
    reductions.rowNorm(x, CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor rowMeanAbs(Tensor x) {
    Shapes.requireAxes("rowMeanAbs", x);
    Tensor out = memory.make(Shapes.withLast(x, 1));
    reductions.rowMeanAbs(x, CpuBuffer.array(out));
    return out;
  }

  // ---- fused

  @Override
  public Tensor modulate(Tensor x, Tensor scale, Optional<Tensor> shift) {
    if (!isRowOfItems(x, scale) || !shift.map(s -> isRowOfItems(x, s)).orElse(true)) {
      return Ops.super.modulate(x, scale, shift);
    }
    Tensor out = like(x);
    elementwise.modulate(x, scale, shift, x.dim(1), x.dim(2), CpuBuffer.array(out));
    return out;
  }

  @Override
  public Tensor addGated(Tensor x, Tensor gate, Tensor y) {
    if (!isRowOfItems(x, gate) || !x.shape().equals(y.shape())) {
      return Ops.super.addGated(x, gate, y);
    }
    Tensor out = like(x);
    elementwise.addGated(x, gate, y, x.dim(1), x.dim(2), CpuBuffer.array(out));
    return out;
  }

  /// Whether x is `[B, T, D]` and row `[B, 1, D]`.
  private static boolean isRowOfItems(Tensor x, Tensor row) {
    return x.rank() == 3
        && row.rank() == 3
        && row.dim(0) == x.dim(0)
        && row.dim(1) == 1
        && row.dim(2) == x.dim(2);
  }

  @Override
  public Tensor swiGlu(Tensor gate, Tensor up) {
    Shapes.requireSame("swiGlu", gate, up);
    Tensor out = like(gate);
    elementwise.swiGlu(gate, up, CpuBuffer.array(out));
    return out;
  }

  @Override
  public void close() {
    matMul.close();
    memory.close();
  }
}
