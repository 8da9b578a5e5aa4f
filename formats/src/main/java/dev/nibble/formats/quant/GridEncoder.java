package dev.nibble.formats.quant;

import java.lang.foreign.MemorySegment;
import java.util.Map;

/// A scheme's grid of values, for algorithms that choose the codes of a weight `[out, in]`
/// themselves, such as GPTQ: statistics come from whatever values the algorithm has at that moment,
/// and codes from wherever it likes. What a reader decodes follows from both alone, so the result
/// is a weight of the scheme like any other.
///
/// Groups are numbered row by row: group `row · groupsPerRow + g`. Different groups may be fitted,
/// and different rows written, by different threads at once.
public interface GridEncoder {
  /// Elements of a row that share statistics; divides the row's length, or is it.
  int groupSize();

  /// Whether {@link #survey} must see all rows before the first group is fitted: what statistics of
  /// the whole weight (double quantization) cost.
  default boolean surveys() {
    return false;
  }

  /// Looks at whole rows.
  ///
  /// @param values `[rows, in]`, row-major
  default void survey(long firstRow, int rows, float[] values) {}

  /// Ends the survey.
  default void surveyed() {}

  /// Computes and keeps the statistics of one group, as they will be stored (rounded to their
  /// dtype), and gives its grid.
  ///
  /// @param values where `count` = {@link #groupSize()} values begin at `at`; not changed
  Grid fit(long group, float[] values, int at);

  /// The values that codes of one group stand for.
  interface Grid {
    /// The code whose value is nearest, by the scheme's own rule of rounding.
    int code(float value);

    /// What a reader decodes from the code, in float32.
    float value(int code);
  }

  /// Packs the codes of whole rows as {@link Part#CODES} wants them.
  ///
  /// @param codes one a byte, `[rows, in]`
  /// @param target {@link QuantScheme#codeBytes} of these elements
  void pack(long firstRow, int rows, byte[] codes, MemorySegment target);

  /// Ends the weight and returns all parts but the codes, as {@link WeightEncoder#finish()} does.
  Map<Part, MemorySegment> finish();
}
