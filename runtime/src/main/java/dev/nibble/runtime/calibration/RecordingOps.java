package dev.nibble.runtime.calibration;

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
import java.util.List;
import java.util.Optional;

/// Operations whose products with a {@link NamedWeight} are shown to a listener before they are
/// computed. All else, fused operations included, goes to the backend's own.
record RecordingOps(Ops ops, InputListener listener) implements Ops {
  @Override
  public Region region() {
    return ops.region();
  }

  @Override
  public Tensor persist(Tensor tensor) {
    return ops.persist(tensor);
  }

  @Override
  public void release(Tensor tensor) {
    ops.release(tensor);
  }

  @Override
  public Tensor fromHost(float[] values, long... dims) {
    return ops.fromHost(values, dims);
  }

  @Override
  public float[] toHost(Tensor tensor) {
    return ops.toHost(tensor);
  }

  @Override
  public Tensor linear(Tensor x, LinearWeight weight, Optional<Tensor> bias) {
    if (weight instanceof NamedWeight named) {
      listener.see(named, x, ops);
    }
    return ops.linear(x, NamedWeight.bare(weight), bias);
  }

  @Override
  public Tensor embedding(LinearWeight table, int[] ids) {
    return ops.embedding(NamedWeight.bare(table), ids);
  }

  @Override
  public Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
    return ops.attention(q, k, v, options);
  }

  @Override
  public Tensor conv2d(Tensor x, LinearWeight weight, Optional<Tensor> bias, Conv2d geometry) {
    return ops.conv2d(x, NamedWeight.bare(weight), bias, geometry);
  }

  @Override
  public Tensor rmsNorm(Tensor x, Optional<Tensor> weight, float eps) {
    return ops.rmsNorm(x, weight, eps);
  }

  @Override
  public Tensor layerNorm(Tensor x, float eps) {
    return ops.layerNorm(x, eps);
  }

  @Override
  public Tensor groupNorm(Tensor x, int groups, Tensor weight, Tensor bias, float eps) {
    return ops.groupNorm(x, groups, weight, bias, eps);
  }

  @Override
  public Tensor unary(Unary function, Tensor x) {
    return ops.unary(function, x);
  }

  @Override
  public Tensor binary(Binary function, Tensor a, Tensor b) {
    return ops.binary(function, a, b);
  }

  @Override
  public Tensor linearCombination(float[] coefficients, List<Tensor> terms) {
    return ops.linearCombination(coefficients, terms);
  }

  @Override
  public Tensor affine(Tensor x, float factor, float addend) {
    return ops.affine(x, factor, addend);
  }

  @Override
  public Tensor rope(Tensor x, RopeTable table) {
    return ops.rope(x, table);
  }

  @Override
  public Tensor concat(int axis, List<Tensor> parts) {
    return ops.concat(axis, parts);
  }

  @Override
  public Tensor slice(Tensor x, int axis, int begin, int end) {
    return ops.slice(x, axis, begin, end);
  }

  @Override
  public Tensor permute(Tensor x, int... axes) {
    return ops.permute(x, axes);
  }

  @Override
  public Tensor upsampleNearest2x(Tensor x) {
    return ops.upsampleNearest2x(x);
  }

  @Override
  public float meanAbs(Tensor x) {
    return ops.meanAbs(x);
  }

  @Override
  public float meanAbsDifference(Tensor a, Tensor b) {
    return ops.meanAbsDifference(a, b);
  }

  @Override
  public double dot(Tensor a, Tensor b) {
    return ops.dot(a, b);
  }

  @Override
  public Tensor rowNorm(Tensor x) {
    return ops.rowNorm(x);
  }

  @Override
  public Tensor rowMeanAbs(Tensor x) {
    return ops.rowMeanAbs(x);
  }

  @Override
  public Tensor fakeQuantRows(Tensor x, ActivationType type) {
    return ops.fakeQuantRows(x, type);
  }

  @Override
  public void addGram(Tensor sum, int begin, Tensor x) {
    ops.addGram(sum, begin, x);
  }

  @Override
  public Tensor featureSums(Tensor x) {
    return ops.featureSums(x);
  }

  @Override
  public Tensor add(Tensor a, Tensor b) {
    return ops.add(a, b);
  }

  @Override
  public Tensor sub(Tensor a, Tensor b) {
    return ops.sub(a, b);
  }

  @Override
  public Tensor mul(Tensor a, Tensor b) {
    return ops.mul(a, b);
  }

  @Override
  public Tensor div(Tensor a, Tensor b) {
    return ops.div(a, b);
  }

  @Override
  public float norm(Tensor x) {
    return ops.norm(x);
  }

  @Override
  public Tensor scaleInputs(Tensor x, Tensor factor) {
    return ops.scaleInputs(x, factor);
  }

  @Override
  public Tensor modulate(Tensor x, Tensor scale, Optional<Tensor> shift) {
    return ops.modulate(x, scale, shift);
  }

  @Override
  public Tensor addGated(Tensor x, Tensor gate, Tensor y) {
    return ops.addGated(x, gate, y);
  }

  @Override
  public Tensor swiGlu(Tensor gate, Tensor up) {
    return ops.swiGlu(gate, up);
  }

  @Override
  public Tensor rmsNormModulated(Tensor x, Tensor weight, float eps, Tensor scale) {
    return ops.rmsNormModulated(x, weight, eps, scale);
  }

  @Override
  public Tensor layerNormModulated(Tensor x, float eps, Tensor scale, Optional<Tensor> shift) {
    return ops.layerNormModulated(x, eps, scale, shift);
  }

  @Override
  public Tensor rmsNormRope(Tensor x, Tensor weight, float eps, RopeTable table) {
    return ops.rmsNormRope(x, weight, eps, table);
  }

  @Override
  public Tensor addRmsNorm(
      Tensor x, Optional<Tensor> tanhGate, Tensor y, Tensor weight, float eps) {
    return ops.addRmsNorm(x, tanhGate, y, weight, eps);
  }

  @Override
  public Tensor groupNormSilu(Tensor x, int groups, Tensor weight, Tensor bias, float eps) {
    return ops.groupNormSilu(x, groups, weight, bias, eps);
  }

  @Override
  public void close() {
    ops.close();
  }
}
