package dev.nibble.runtime.cache;

/// The side of guidance that a call of the transformer is for.
public enum GuidanceBranch {
  /// The prompt, or prompt and negative prompt in one batch.
  CONDITIONAL,
  /// The negative prompt alone.
  UNCONDITIONAL
}
