package dev.nibble.formats.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// What input scales do to one tensor, applied to any part of it: columns of a layer's weight times
/// the scales of its input, rows as {@link RowEdit} says. Both for a layer that takes a scaled
/// input and absorbs the scales of others. In float32: columns first.
public final class TensorEdit {
  private final Optional<float[]> columns;
  private final List<RowEdit> rows;

  private TensorEdit(Optional<float[]> columns, List<RowEdit> rows) {
    this.columns = columns;
    this.rows = List.copyOf(rows);
  }

  /// The edits of all tensors that some folds change, by tensor name.
  ///
  /// @param folds each with the scales that its consumers take
  /// @param names all tensors of the file
  public static Map<String, TensorEdit> of(Map<Fold, float[]> folds, Set<String> names) {
    Map<String, float[]> columns = new HashMap<>();
    Map<String, List<RowEdit>> rows = new HashMap<>();
    folds.forEach((fold, scales) -> {
      fold.consumers().forEach(module -> columns.put(module + NameRules.WEIGHT, scales));
      for (RowEdit edit : fold.edits(scales, names)) {
        rows.computeIfAbsent(edit.tensor(), _ -> new ArrayList<>()).add(edit);
      }
    });
    Map<String, TensorEdit> edits = new HashMap<>();
    columns.forEach((tensor, scales) ->
        edits.put(
            tensor, new TensorEdit(Optional.of(scales), rows.getOrDefault(tensor, List.of()))));
    rows.forEach(
        (tensor, list) -> edits.putIfAbsent(tensor, new TensorEdit(Optional.empty(), list)));
    return Map.copyOf(edits);
  }

  /// Edits of rows alone: what a tensor absorbs.
  ///
  /// @param rows one after the other
  public static TensorEdit ofRows(List<RowEdit> rows) {
    return new TensorEdit(Optional.empty(), rows);
  }

  /// Edits elements `[begin, begin + count)` of the row-major tensor.
  ///
  /// @param rowLength elements of a row: `in` of a weight `[out, in]`, 1 of a tensor `[n]`
  /// @param values has the elements from index `at` on
  public void apply(long begin, int count, long rowLength, float[] values, int at) {
    int done = 0;
    while (done < count) {
      long row = (begin + done) / rowLength;
      int column = (int) ((begin + done) % rowLength);
      int length = (int) Math.min(count - done, rowLength - column);
      if (columns.isPresent()) {
        float[] scales = columns.get();
        for (int i = 0; i < length; i++) {
          values[at + done + i] *= scales[column + i];
        }
      }
      for (RowEdit edit : rows) {
        if (row >= edit.firstRow() && row < edit.firstRow() + edit.rows()) {
          applyRow(edit, (int) (row - edit.firstRow()), length, values, at + done);
        }
      }
      done += length;
    }
  }

  private static void applyRow(RowEdit edit, int row, int length, float[] values, int at) {
    float factor = edit.factor(row);
    float addend = edit.addend(row);
    for (int i = 0; i < length; i++) {
      values[at + i] = values[at + i] * factor + addend;
    }
  }
}
