package dev.nibble.runtime.tensor;

/// Functions of one number.
public enum Unary {
  /// `x / (1 + exp(-x))`.
  SILU,
  /// `x/2 · (1 + tanh(sqrt(2/π) · (x + 0.044715 x³)))`, the tanh form of GELU.
  GELU_TANH,
  /// Hyperbolic tangent.
  TANH
}
