package dev.nibble.converter.algorithm;

/// How GPTQ (Frantar et al., arXiv:2210.17323) goes about a weight.
///
/// @param damping added to the Hessian's diagonal, as a part of the diagonal's mean
/// @param actOrder take the columns by descending diagonal of the Hessian (`desc_act`)
/// @param staticGroups fit all groups to the weight as it is before the first column is rounded,
///   rather than each to what compensation has made of it when its turn comes
/// @param blockColumns columns whose errors are passed on to the rest at once
public record GptqOptions(
    double damping, boolean actOrder, boolean staticGroups, int blockColumns) {
  /// As GPTQModel goes about it: damping 0.01, columns in their order, blocks of 128.
  public static final GptqOptions DEFAULT = new GptqOptions(0.01, false, false, 128);

  public GptqOptions {
    if (!(damping > 0 && damping < 1)) {
      throw new IllegalArgumentException("damping " + damping + ": takes a number between 0 and 1");
    }
    if (blockColumns < 1) {
      throw new IllegalArgumentException("blocks of " + blockColumns + " columns");
    }
  }

  /// These options with every group fitted beforehand.
  public GptqOptions withStaticGroups() {
    return new GptqOptions(damping, actOrder, true, blockColumns);
  }
}
