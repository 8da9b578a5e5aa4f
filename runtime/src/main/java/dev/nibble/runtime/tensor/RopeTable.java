package dev.nibble.runtime.tensor;

/// Cosines and sines of the angles of a rotary position embedding.
///
/// @param cos `[T, D/2]`, or `[B, T, D/2]` where the items of a batch differ
/// @param sin as `cos`
/// @param pairs which elements of a head are rotated together
public record RopeTable(Tensor cos, Tensor sin, Pairs pairs) {
  /// The pairing of elements of a head of dim D.
  public enum Pairs {
    /// Elements 2k and 2k + 1 (Z-Image, Qwen-Image, FLUX).
    ADJACENT,
    /// Elements k and k + D/2 (Qwen3, Llama).
    HALVES
  }
}
