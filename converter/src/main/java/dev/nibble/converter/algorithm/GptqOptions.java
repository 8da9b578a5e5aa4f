package dev.nibble.converter.algorithm;

/// How GPTQ (Frantar et al., arXiv:2210.17323) goes about a weight.
///
/// @param damping added to the Hessian's diagonal, as a part of the diagonal's mean
/// @param actOrder take the columns by descending diagonal of the Hessian (`desc_act`)
/// @param staticGroups fit all groups to the weight as it is before the first column is rounded,
///   rather than each to what compensation has made of it when its turn comes; with `actOrder` the
///   only way for schemes that cannot store a group index
/// @param searchScales pull the extremes of each group in as far as rounding to nearest loses least
///   (GPTQModel's `mse`)
public record GptqOptions(
    double damping, boolean actOrder, boolean staticGroups, boolean searchScales) {
  /// As GPTQModel goes about it: damping 0.01, columns in their order.
  public static final GptqOptions DEFAULT = new GptqOptions(0.01, false, false, false);

  /// What loses least on pictures: damping enough that statistics of a few hundred prompts hold for
  /// others, the inputs that matter most first, searched scales.
  public static final GptqOptions RECOMMENDED = new GptqOptions(0.1, true, true, true);

  public GptqOptions {
    if (!(damping > 0 && damping <= 1)) {
      throw new IllegalArgumentException(
          "damping " + damping + ": takes a number above 0, at most 1");
    }
  }

  /// These options with every group fitted beforehand.
  public GptqOptions withStaticGroups() {
    return new GptqOptions(damping, actOrder, true, searchScales);
  }
}
