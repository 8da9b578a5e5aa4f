package dev.nibble.formats.model;

/// What a tensor is in its model, as far as quantizing cares.
public enum LayerKind {
  /// The weight of an `nn.Linear`, `[out, in]`: the only kind that is quantized.
  LINEAR("linear layer"),
  /// A table that is looked up by row: token, position or class embeddings, relative attention
  /// biases. As two-dimensional as a linear weight, but never multiplied.
  EMBEDDING("embedding"),
  /// The one-dimensional weight of a norm.
  NORM("norm"),
  BIAS("bias"),
  /// A weight of three or more dimensions.
  CONVOLUTION("convolution"),
  /// A bare parameter: pad tokens, tables, scalars.
  PARAMETER("parameter"),
  /// A tensor of another model in the same file: the VAE or text encoder of a bundle.
  FOREIGN("not part of the diffusion model");

  private final String label;

  LayerKind(String label) {
    this.label = label;
  }

  /// In the words of a plan.
  public String label() {
    return label;
  }
}
