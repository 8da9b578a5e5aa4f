package dev.nibble.formats.internal.simd;

import dev.nibble.formats.internal.simd.SearchGroups.Weighting;

/// The searches for scales in ggml's quantizers, over many groups at once. Each sums in the order
/// of the elements, rounding after every operation, so that every implementation gives ggml's
/// bytes.
///
/// Source of the rules: ggml, `src/ggml-quants.c`; the names of its functions stand with ours.
public interface BlockSearch {
  /// The fastest implementation for this machine.
  static BlockSearch best() {
    return Simd.isVector() && VectorLanes.isSupported()
        ? Simd.choose(
            () -> new ScalarBlockSearch(),
            () -> new WarmingBlockSearch(),
            () -> new VectorBlockSearch())
        : new ScalarBlockSearch();
  }

  /// How {@link #scaleAndMin} searches.
  ///
  /// @param most the largest code
  /// @param first trial scales are `(most + first + step * i) / range`
  /// @param steps the last `i`
  /// @param absolute whether errors count by magnitude and not squared
  record Trials(
      int most, float first, float step, int steps, boolean absolute, Weighting weighting) {}

  /// `make_qkx2_quants`, `make_qkx3_quants`: finds for each group codes, a scale and a minimum at
  /// most 0, such that `scale * code + min` is close to `x`: for each trial scale, the codes, the
  /// least-squares scale and minimum for these codes, their error; the best wins, the first of
  /// equals. Fills codes, scales, mins (negated) and weight sums.
  void scaleAndMin(SearchGroups groups, Trials trials);

  /// `make_qx_quants` with `rmse_type` 1: codes from `-most` to `most - 1`, stored plus `most`;
  /// trial scales around the one that makes the number of largest magnitude `-most`. Fills codes
  /// and scales.
  void symmetric(SearchGroups groups, int most, Weighting weighting);

  /// `make_q3_quants` with `do_rmse`: codes as in {@link #symmetric}, weights `x²`, improved one by
  /// one against the least-squares scale in up to 5 passes. Fills codes and scales.
  void descent(SearchGroups groups, int most);

  /// The search of `quantize_row_iq4_nl_impl`: scales for codes that are indexes in {@link
  /// Iq4Table}. Fills scales.
  void table(SearchGroups groups, Weighting weighting);

  /// Codes for a given scale and minimum: `clamp(nearest((x + min) / scale), low, high) - low`.
  /// Groups with a scale of 0 keep their codes.
  void requantize(SearchGroups groups, float[] scales, float[] mins, int low, int high);

  /// Codes in {@link Iq4Table} for a given reciprocal of the scale.
  void tableCodes(SearchGroups groups, float[] reciprocals);

  /// Weights with an importance matrix: `importance[i] * sqrt(meanSquare + x[i]²)`.
  ///
  /// @param weights receives `count` of them from `at` on
  void weigh(
      float[] x,
      int from,
      int count,
      float[] importance,
      int importanceFrom,
      float meanSquare,
      float[] weights,
      int at);
}
