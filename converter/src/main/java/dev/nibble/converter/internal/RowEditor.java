package dev.nibble.converter.internal;

import dev.nibble.formats.model.RowEdit;
import java.util.List;

/// Carries out edits of a tensor's rows.
///
/// @param edits one after the other
record RowEditor(List<RowEdit> edits) {
  RowEditor {
    edits = List.copyOf(edits);
  }

  /// Edits elements in place.
  ///
  /// @param first index of the first in the row-major tensor; any
  /// @param rowLength elements of a row
  void apply(long first, long rowLength, float[] values, int count) {
    for (RowEdit edit : edits) {
      long begin = Math.max(first, edit.firstRow() * rowLength);
      long end = Math.min(first + count, (edit.firstRow() + edit.rows()) * rowLength);
      for (long element = begin; element < end; element++) {
        int row = (int) (element / rowLength - edit.firstRow());
        int at = (int) (element - first);
        values[at] = values[at] * edit.factor(row) + edit.addend(row);
      }
    }
  }
}
