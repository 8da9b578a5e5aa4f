package dev.nibble.formats.quant;

import java.lang.foreign.MemorySegment;
import java.util.Map;

/// A scheme's grid of values, for algorithms that choose the codes of a weight `[out, in]`
/// themselves, such as GPTQ: statistics come from whatever values the algorithm has at that moment,
/// and codes from wherever it likes. What a reader decodes follows from both alone, so the result
/// is a weight of the scheme like any other.
///
/// Fitting every group to the weight itself and taking {@link Grid#code} of every value gives the
/// very bytes of the scheme's {@link WeightEncoder}.
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

  /// Looks at whole rows of the weight as it was. Different rows may come from different threads.
  ///
  /// @param values `[rows, in]`, row-major
  default void survey(long firstRow, int rows, float[] values) {}

  /// Ends the survey.
  default void surveyed() {}

  /// Says which group of its row each input belongs to, where groups do not follow the order of the
  /// inputs; stored as {@link Part#GROUP_INDEX}.
  ///
  /// @param groupOfInput `[in]`, each group {@link #groupSize()} times
  /// @return whether this scheme can store it; if not, nothing has changed
  default boolean regroup(int[] groupOfInput) {
    return false;
  }

  /// Computes and keeps the statistics of one group, as they will be stored (rounded to their
  /// dtype), and gives its grid.
  ///
  /// @param values where `count` = {@link #groupSize()} values begin at `at`; not changed
  /// @throws dev.nibble.formats.NibbleException if a value, or what follows from it, is not finite
  Grid fit(long group, float[] values, int at);

  /// The values that codes of one group stand for. Codes are those of {@link Part#CODES}, signed or
  /// not as their dtype is.
  interface Grid {
    /// The code of a value by the scheme's own rule of rounding.
    int code(float value);

    /// The code whose decoded value is nearest. Not {@link #code} where a scheme rounds by other
    /// statistics than it stores (double quantization).
    default int nearest(float value) {
      return code(value);
    }

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
