package dev.nibble.converter.algorithm;

import dev.nibble.formats.quant.GridEncoder;

/// Rounds every value by itself, as the scheme's own encoder does.
///
/// @param columns inputs of the layer
public record RoundToNearest(int columns) implements RowQuantizer {
  @Override
  public void quantize(long firstRow, int rows, float[] values, GridEncoder grid, byte[] codes) {
    int size = grid.groupSize();
    long firstGroup = firstRow * (columns / size);
    for (int at = 0; at < rows * columns; at += size) {
      GridEncoder.Grid group = grid.fit(firstGroup + at / size, values, at);
      for (int i = at; i < at + size; i++) {
        int code = group.code(values[i]);
        codes[i] = (byte) code;
        values[i] = group.value(code);
      }
    }
  }
}
