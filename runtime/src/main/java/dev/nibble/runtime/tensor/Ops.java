package dev.nibble.runtime.tensor;

import dev.nibble.formats.quant.ActivationType;
import java.util.List;
import java.util.Optional;

/// The operations that models, schedulers and caches are made of, on one session's memory. The list
/// is closed and short; a fused operation is a default method made of primitives, which is its
/// definition and the oracle of the kernels that override it.
///
/// Used by one thread at a time. Tensors given in are borrowed and never changed (but by {@link
/// #addGram}, which exists to change one); each result is new and belongs to the innermost open
/// {@link Region}, or to the session where none is open. Shapes in brackets, slowest axis first;
/// `...` stands for any number of axes. Shapes that do not fit throw `IllegalArgumentException`.
public interface Ops extends AutoCloseable {
  // ---- memory

  /// Opens a region of memory inside the innermost open one.
  Region region();

  /// A copy of the tensor that belongs to the session itself, whatever regions close, until {@link
  /// #release}: the state of a cache.
  Tensor persist(Tensor tensor);

  /// Gives a tensor's buffer back now; every tensor that shares it is dead.
  void release(Tensor tensor);

  /// A tensor from an array of the host.
  ///
  /// @param values row-major; copied
  Tensor fromHost(float[] values, long... dims);

  /// The tensor's elements, row-major, in a new array.
  float[] toHost(Tensor tensor);

  // ---- products

  /// `x·Wᵀ + bias`: `[..., in features]` to `[..., out features]`.
  Tensor linear(Tensor x, LinearWeight weight, Optional<Tensor> bias);

  /// Rows of a table `[vocabulary, D]`: `[ids, D]`.
  Tensor embedding(LinearWeight table, int[] ids);

  /// `softmax(scale · q·kᵀ + bias) · v` per head, by an online softmax: memory grows with the
  /// tokens, not with their square (Milakov and Gimelshein, arXiv:1805.02867; Rabe and Staats,
  /// arXiv:2112.05682). A query that sees no key gives zeros.
  ///
  /// @param q `[B, Tq, H, D]`
  /// @param k `[B, Tk, Hkv, D]`, H a multiple of Hkv: query head h uses head `h / (H / Hkv)`
  /// @param v `[B, Tk, Hkv, Dv]`
  /// @return `[B, Tq, H, Dv]`
  Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options);

  /// Convolution, channels last.
  ///
  /// @param x `[B, H, W, Cin]`
  /// @param weight `[Cout, kernel·kernel·Cin]`, the axes of a row in the order row, column, channel
  /// @return `[B, H', W', Cout]`
  Tensor conv2d(Tensor x, LinearWeight weight, Optional<Tensor> bias, Conv2d geometry);

  // ---- norms

  /// `x / sqrt(mean(x²) + eps) · weight` over the last axis.
  Tensor rmsNorm(Tensor x, Optional<Tensor> weight, float eps);

  /// `(x - mean) / sqrt(variance + eps)` over the last axis, without weights.
  Tensor layerNorm(Tensor x, float eps);

  /// Normalizes each group of channels of each picture over its positions, then `· weight + bias`
  /// per channel.
  ///
  /// @param x `[B, H, W, C]`
  /// @param weight `[C]`
  /// @param bias `[C]`
  Tensor groupNorm(Tensor x, int groups, Tensor weight, Tensor bias, float eps);

  // ---- element by element

  Tensor unary(Unary function, Tensor x);

  /// A function of two tensors whose shapes are aligned at the last axis; an axis of size 1, or a
  /// missing one, is repeated.
  Tensor binary(Binary function, Tensor a, Tensor b);

  /// `Σ coefficients[i] · terms[i]`, added from left to right; all of one shape.
  Tensor linearCombination(float[] coefficients, List<Tensor> terms);

  /// `x · factor + addend`, rounded twice.
  Tensor affine(Tensor x, float factor, float addend);

  /// Each row as a layer with 8-bit inputs sees it: `round(x / s) · s` with `s = max|x| / largest`,
  /// in float32. Rounded is to the nearest number of the type, ties to even, nothing beyond its
  /// largest; a row of zeros stays. Numbers are finite. What vLLM computes for weights and
  /// activations of 8 bits, up to the order of sums.
  ///
  /// @param x `[..., D]`
  Tensor fakeQuantRows(Tensor x, ActivationType type);

  /// Rotates pairs of elements of each head: `(a, b)` to `(a cos - b sin, a sin + b cos)`.
  ///
  /// @param x `[B, T, H, D]`
  Tensor rope(Tensor x, RopeTable table);

  // ---- layout

  Tensor concat(int axis, List<Tensor> parts);

  /// Entries `[begin, end)` of an axis, copied.
  Tensor slice(Tensor x, int axis, int begin, int end);

  /// Axis i of the result is axis `axes[i]` of x.
  Tensor permute(Tensor x, int... axes);

  /// Each pixel becomes 2x2: `[B, H, W, C]` to `[B, 2H, 2W, C]`.
  Tensor upsampleNearest2x(Tensor x);

  // ---- numbers for decisions, on the host

  /// Mean of absolute values, as torch's float32 mean to a few units in the last place.
  float meanAbs(Tensor x);

  /// Mean of absolute differences; shapes equal.
  float meanAbsDifference(Tensor a, Tensor b);

  /// Sum of products; shapes equal.
  double dot(Tensor a, Tensor b);

  /// Euclidean norm of each row: `[..., D]` to `[..., 1]`.
  Tensor rowNorm(Tensor x);

  /// Mean of absolute values of each row: `[..., D]` to `[..., 1]`.
  Tensor rowMeanAbs(Tensor x);

  // ---- statistics of what layers are given

  /// Adds some rows of the Gram matrix `XᵀX` of x's features, summed over all rows of x, to a
  /// running sum: row i of the sum is feature `begin + i`. Of a row only the columns up to the
  /// feature itself become right, for the matrix is symmetric; what the others hold is unspecified.
  ///
  /// Each element of the sum is added to in an order that does not depend on how the matrix is cut
  /// into sums, if cuts are at multiples of {@link #GRAM_ROWS}.
  ///
  /// @param sum float32 `[n, D]`, changed; of this or another session of the backend
  /// @param begin the first feature, a multiple of {@link #GRAM_ROWS}
  /// @param x `[..., D]`
  void addGram(Tensor sum, int begin, Tensor x);

  /// Where the rows of a Gram matrix may be cut.
  int GRAM_ROWS = 256;

  /// Of each feature the sum of absolute values, the largest absolute value and the sum of squares,
  /// over all rows: `[..., D]` to `[3, D]`, float32. Summed in double, rounded at the end.
  Tensor featureSums(Tensor x);

  // ---- made of the above

  default Tensor add(Tensor a, Tensor b) {
    return binary(Binary.ADD, a, b);
  }

  default Tensor sub(Tensor a, Tensor b) {
    return binary(Binary.SUB, a, b);
  }

  default Tensor mul(Tensor a, Tensor b) {
    return binary(Binary.MUL, a, b);
  }

  default Tensor div(Tensor a, Tensor b) {
    return binary(Binary.DIV, a, b);
  }

  /// `x · factor` over the last axis, in the type of x: what a linear layer with an input scale
  /// multiplies with.
  ///
  /// @param x `[..., D]`
  /// @param factor `[D]`
  default Tensor scaleInputs(Tensor x, Tensor factor) {
    return mul(x, factor);
  }

  /// Euclidean norm of all elements.
  default float norm(Tensor x) {
    return (float) Math.sqrt(dot(x, x));
  }

  /// `x · (1 + scale) + shift`, the modulation of adaptive norms (DiT, arXiv:2212.09748).
  ///
  /// @param x `[B, T, D]`
  /// @param scale `[B, 1, D]`
  /// @param shift `[B, 1, D]`
  default Tensor modulate(Tensor x, Tensor scale, Optional<Tensor> shift) {
    try (Region region = region()) {
      Tensor scaled = mul(x, affine(scale, 1, 1));
      return region.keep(shift.isPresent() ? add(scaled, shift.get()) : scaled);
    }
  }

  /// `x + gate · y`.
  ///
  /// @param gate `[B, 1, D]`
  default Tensor addGated(Tensor x, Tensor gate, Tensor y) {
    try (Region region = region()) {
      return region.keep(add(x, mul(gate, y)));
    }
  }

  /// `silu(gate) · up` (Shazeer, arXiv:2002.05202).
  default Tensor swiGlu(Tensor gate, Tensor up) {
    try (Region region = region()) {
      return region.keep(mul(unary(Unary.SILU, gate), up));
    }
  }

  /// RMS norm, then {@link #modulate} without a shift: the input of a module of Z-Image.
  ///
  /// @param x `[B, T, D]`
  /// @param weight `[D]`
  /// @param scale `[B, 1, D]`
  default Tensor rmsNormModulated(Tensor x, Tensor weight, float eps, Tensor scale) {
    try (Region region = region()) {
      return region.keep(modulate(rmsNorm(x, Optional.of(weight), eps), scale, Optional.empty()));
    }
  }

  /// Layer norm, then {@link #modulate}: the input of a module of a DiT.
  ///
  /// @param x `[B, T, D]`
  /// @param scale `[B, 1, D]`
  /// @param shift `[B, 1, D]`
  default Tensor layerNormModulated(Tensor x, float eps, Tensor scale, Optional<Tensor> shift) {
    try (Region region = region()) {
      return region.keep(modulate(layerNorm(x, eps), scale, shift));
    }
  }

  /// RMS norm of each head, then {@link #rope}: queries and keys.
  ///
  /// @param x `[B, T, H, D]`
  /// @param weight `[D]`
  default Tensor rmsNormRope(Tensor x, Tensor weight, float eps, RopeTable table) {
    try (Region region = region()) {
      return region.keep(rope(rmsNorm(x, Optional.of(weight), eps), table));
    }
  }

  /// `x + tanh(gate) · rmsNorm(y)`, without a gate `x + rmsNorm(y)`: how a module of Z-Image joins
  /// the residual stream.
  ///
  /// @param x `[B, T, D]`
  /// @param tanhGate `[B, 1, D]`, before its tanh
  /// @param y `[B, T, D]`
  /// @param weight `[D]`
  default Tensor addRmsNorm(
      Tensor x, Optional<Tensor> tanhGate, Tensor y, Tensor weight, float eps) {
    try (Region region = region()) {
      Tensor normed = rmsNorm(y, Optional.of(weight), eps);
      return region.keep(
          tanhGate.isPresent()
              ? addGated(x, unary(Unary.TANH, tanhGate.get()), normed)
              : add(x, normed));
    }
  }

  /// Group norm, then SiLU.
  default Tensor groupNormSilu(Tensor x, int groups, Tensor weight, Tensor bias, float eps) {
    try (Region region = region()) {
      return region.keep(unary(Unary.SILU, groupNorm(x, groups, weight, bias, eps)));
    }
  }

  /// Gives back all memory of the session.
  @Override
  void close();
}
