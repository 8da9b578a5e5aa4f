package dev.nibble.runtime.tensor;

import java.util.Optional;

/// How scores become weights in {@link Ops#attention}.
///
/// @param scale factor of `q·k`; the head dim to the power of -1/2 if empty
/// @param bias which keys a query sees
/// @param dropout probability of dropping a weight; anything but 0 is refused, for dropout has no
///   place in inference
public record AttentionOptions(Optional<Float> scale, AttentionBias bias, float dropout) {
  /// Scale `D^-1/2`, every key, no dropout.
  public static final AttentionOptions DEFAULT =
      new AttentionOptions(Optional.empty(), new AttentionBias.None(), 0);

  public AttentionOptions {
    if (dropout != 0) {
      throw new IllegalArgumentException(
          "attention dropout is %s: dropout is for training only, use 0 at inference"
              .formatted(dropout));
    }
  }

  /// These options with another bias.
  public AttentionOptions withBias(AttentionBias other) {
    return new AttentionOptions(scale, other, dropout);
  }
}
