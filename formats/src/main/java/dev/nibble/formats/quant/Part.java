package dev.nibble.formats.quant;

/// The parts that a quantized weight is made of. A scheme says which it has, with dtype and shape;
/// a storage says how they are named on disk.
public enum Part {
  /// One code per element, two to a byte in 4-bit schemes.
  CODES,
  /// Largest magnitude of each block; with double quantization its own 8-bit codes.
  ABSMAX,
  /// Step of each block or row.
  SCALE,
  /// Code of the value zero, for each block or row.
  ZERO_POINT,
  /// Group of each input of a linear layer, I32, where it doesn't follow from the place.
  GROUP_INDEX,
  /// One number for the whole weight, beside the scales of its blocks.
  GLOBAL_SCALE,
  /// Value of each code, for absmax 1.
  CODEBOOK,
  /// Double quantization: largest magnitude of each group of 256 centred absmax.
  NESTED_ABSMAX,
  /// Double quantization: value of each 8-bit code.
  NESTED_CODEBOOK,
  /// Double quantization: mean of all absmax, one F32.
  NESTED_OFFSET,
  /// What each input of a linear layer is divided by before the weight sees it.
  INPUT_SCALE,
  /// Left factor of a low-rank addition to the weight, `[out, rank]`.
  LOW_RANK_UP,
  /// Right factor of a low-rank addition to the weight, `[rank, in]`.
  LOW_RANK_DOWN
}
