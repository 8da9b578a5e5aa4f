package dev.nibble.converter.algorithm;

/// How GPTQ (Frantar et al., arXiv:2210.17323) goes about a weight.
///
/// @param damping added to the Hessian's diagonal, as a part of the diagonal's mean
/// @param actOrder take the columns by descending diagonal of the Hessian (`desc_act`)
/// @param staticGroups fit all groups to the weight as it is before the first column is rounded,
///   rather than each to what compensation has made of it when its turn comes; with `actOrder` the
///   only way for schemes that cannot store a group index
public record GptqOptions(double damping, boolean actOrder, boolean staticGroups) {
  /// As GPTQModel goes about it: damping 0.01, columns in their order.
  public static final GptqOptions DEFAULT = new GptqOptions(0.01, false, false);

  public GptqOptions {
    if (!(damping > 0 && damping <= 1)) {
      throw new IllegalArgumentException(
          "damping " + damping + ": takes a number above 0, at most 1");
    }
  }

  /// These options with every group fitted beforehand.
  public GptqOptions withStaticGroups() {
    return new GptqOptions(damping, actOrder, true);
  }
}
