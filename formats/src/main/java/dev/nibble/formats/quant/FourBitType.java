package dev.nibble.formats.quant;

/// The two 4-bit data types of bitsandbytes.
public enum FourBitType {
  /// NormalFloat4: quantiles of a normal distribution (Dettmers et al. 2023, QLoRA).
  NF4,
  /// 4-bit float with 2 exponent bits and 1 mantissa bit, normalized to 1.
  FP4
}
