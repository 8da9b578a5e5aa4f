package dev.nibble.runtime.tensor;

/// Memory of tensors that belongs to one {@link Backend}, which alone knows what stands behind it.
/// Its owner is the {@link Region} or the {@link WeightStore} that it was made in.
public interface Buffer {
  /// Capacity in elements of the tensor's type; at least what its tensors need.
  long capacity();
}
