package dev.nibble.converter.algorithm;

import dev.nibble.formats.quant.GridEncoder;

/// Chooses the codes of a weight's rows on a scheme's grid. Rows do not depend on each other; any
/// number of threads may work on different rows.
public interface RowQuantizer {
  /// Readies a grid for this quantizer: once for each weight, before its first rows.
  ///
  /// @throws dev.nibble.formats.NibbleException if the quantizer cannot work on that grid
  default void prepare(GridEncoder grid) {}

  /// Fits the groups of some rows and chooses their codes, after the grid's survey.
  ///
  /// @param values rows `[rows, in]`, row-major; afterwards what a reader decodes
  /// @param codes receives one code a byte, `[rows, in]`
  void quantize(long firstRow, int rows, float[] values, GridEncoder grid, byte[] codes);
}
