package dev.nibble.runtime.weights;

import dev.nibble.formats.quant.ActivationType;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;

/// The weight of a linear layer with what its checkpoint sets around it. Of most layers that is
/// nothing, and they cost one product.
///
/// @param matrix `[out, in]`: the weight, or with a branch what is left of it
/// @param inputFactor `[in]`: what each input is multiplied by first
/// @param branch of the scaled inputs, added to the result
/// @param activations what the scaled inputs are rounded to before the matrix, but not before the
///   branch
public record LayerWeight(
    LinearWeight matrix,
    Optional<Tensor> inputFactor,
    Optional<LowRankBranch> branch,
    Optional<ActivationType> activations) {
  /// A matrix alone.
  public static LayerWeight of(LinearWeight matrix) {
    return new LayerWeight(matrix, Optional.empty(), Optional.empty(), Optional.empty());
  }

  /// `[..., in]` to `[..., out]`.
  ///
  /// @param bias `[out]`
  public Tensor apply(Tensor x, Optional<Tensor> bias, Ops ops) {
    if (inputFactor.isEmpty() && branch.isEmpty() && activations.isEmpty()) {
      return ops.linear(x, matrix, bias);
    }
    try (Region region = ops.region()) {
      Tensor scaled = inputFactor.map(factor -> ops.scaleInputs(x, factor)).orElse(x);
      Tensor rounded = activations.map(type -> ops.fakeQuantRows(scaled, type)).orElse(scaled);
      Tensor y = ops.linear(rounded, matrix, bias);
      return region.keep(branch.map(beside -> beside.addTo(y, scaled, ops)).orElse(y));
    }
  }
}
