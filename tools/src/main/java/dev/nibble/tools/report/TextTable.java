package dev.nibble.tools.report;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

/// Aligned columns of text, two spaces apart. The last column is never padded, so that long names
/// there only lengthen their own line.
public final class TextTable {
  private final boolean[] right;
  private final List<String[]> rows = new ArrayList<>();

  /// @param alignment one letter a column: `l` or `r`
  public TextTable(String alignment) {
    right = new boolean[alignment.length()];
    for (int i = 0; i < right.length; i++) {
      right[i] = alignment.charAt(i) == 'r';
    }
  }

  public TextTable row(String... cells) {
    if (cells.length != right.length) {
      throw new IllegalArgumentException(cells.length + " cells for " + right.length + " columns");
    }
    rows.add(cells.clone());
    return this;
  }

  /// @param indent spaces before each row
  public void print(PrintStream out, int indent) {
    int[] widths = new int[right.length];
    for (String[] row : rows) {
      for (int i = 0; i < row.length; i++) {
        widths[i] = Math.max(widths[i], width(row[i]));
      }
    }
    for (String[] row : rows) {
      StringBuilder line = new StringBuilder(" ".repeat(indent));
      for (int i = 0; i < row.length; i++) {
        String pad = " ".repeat(widths[i] - width(row[i]));
        line.append(right[i] ? pad + row[i] : row[i] + pad).append("  ");
      }
      out.println(line.toString().stripTrailing());
    }
  }

  private static int width(String cell) {
    return cell.codePointCount(0, cell.length());
  }
}
