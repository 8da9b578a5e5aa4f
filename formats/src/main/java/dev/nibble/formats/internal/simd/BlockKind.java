package dev.nibble.formats.internal.simd;

/// The layouts of blocks that have kernels; ggml's names.
public enum BlockKind {
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
  IQ4_NL,
  IQ4_XS,
  MXFP4
}
