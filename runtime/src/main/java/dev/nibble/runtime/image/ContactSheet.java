package dev.nibble.runtime.image;

import java.util.Arrays;
import java.util.List;

/// Pictures in a grid on white, each with lines of text under it.
///
/// ```
/// gap
/// gap picture gap picture gap      Pictures that are narrower than 192 pixels are enlarged by a
///     text        text             whole factor, each pixel a square; text grows with wide ones.
/// gap picture gap picture gap
/// ```
///
/// Text is drawn from a font of our own, for `java.awt` needs one of the system's, which servers
/// often lack.
public final class ContactSheet {
  private static final int LEAST_WIDTH = 192;
  private static final int GAP = 8;
  private static final byte WHITE = (byte) 255;
  private static final byte INK = 32;

  private final List<Cell> cells;
  private final int columns;
  private final int enlarge;
  private final int textScale;
  private final int cellWidth;
  private final int pictureHeight;
  private final int cellHeight;
  private final BitmapFont font = BitmapFont.load();

  /// One picture.
  ///
  /// @param lines text under it, top line first; none for none
  public record Cell(RgbImage image, List<String> lines) {
    public Cell {
      lines = List.copyOf(lines);
    }
  }

  private ContactSheet(List<Cell> cells, int columns) {
    this.cells = cells;
    this.columns = columns;
    int widest = cells.stream().mapToInt(cell -> cell.image().width()).max().orElseThrow();
    int highest = cells.stream().mapToInt(cell -> cell.image().height()).max().orElseThrow();
    enlarge = Math.max(1, Math.ceilDiv(LEAST_WIDTH, widest));
    textScale = Math.max(1, widest * enlarge / (2 * LEAST_WIDTH));
    int longest =
        cells.stream()
            .flatMap(cell -> cell.lines().stream())
            .mapToInt(BitmapFont::width)
            .max()
            .orElse(0);
    int most = cells.stream().mapToInt(cell -> cell.lines().size()).max().orElse(0);
    cellWidth = Math.max(widest * enlarge, longest * textScale);
    pictureHeight = highest * enlarge;
    int textHeight = most == 0 ? 0 : GAP / 2 + most * BitmapFont.LINE * textScale;
    cellHeight = pictureHeight + textHeight;
  }

  /// Draws a sheet.
  ///
  /// @param cells pictures, left to right and then down; at least one
  /// @param columns of the grid; at least 1
  public static RgbImage draw(List<Cell> cells, int columns) {
    if (cells.isEmpty() || columns < 1) {
      throw new IllegalArgumentException(
          "a sheet needs pictures and columns, not %d and %d".formatted(cells.size(), columns));
    }
    return new ContactSheet(List.copyOf(cells), Math.min(columns, cells.size())).draw();
  }

  private RgbImage draw() {
    int rows = Math.ceilDiv(cells.size(), columns);
    int width = Math.addExact(GAP, Math.multiplyExact(columns, cellWidth + GAP));
    int height = Math.addExact(GAP, Math.multiplyExact(rows, cellHeight + GAP));
    byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
    Arrays.fill(rgb, WHITE);
    Canvas canvas = new Canvas(width, rgb);
    for (int i = 0; i < cells.size(); i++) {
      draw(cells.get(i), canvas, i % columns, i / columns);
    }
    return new RgbImage(width, height, rgb);
  }

  private void draw(Cell cell, Canvas canvas, int column, int row) {
    int left = GAP + column * (cellWidth + GAP);
    int top = GAP + row * (cellHeight + GAP);
    RgbImage image = cell.image();
    for (int y = 0; y < image.height() * enlarge; y++) {
      for (int x = 0; x < image.width() * enlarge; x++) {
        canvas.copy(image, x / enlarge, y / enlarge, left + x, top + y);
      }
    }
    int baseline = top + pictureHeight + GAP / 2;
    for (String line : cell.lines()) {
      text(line, canvas, left, baseline);
      baseline += BitmapFont.LINE * textScale;
    }
  }

  private void text(String line, Canvas canvas, int left, int top) {
    int[] points = BitmapFont.points(line);
    for (int i = 0; i < points.length; i++) {
      for (int y = 0; y < BitmapFont.HEIGHT * textScale; y++) {
        for (int x = 0; x < BitmapFont.WIDTH * textScale; x++) {
          if (font.isInk(points[i], x / textScale, y / textScale)) {
            canvas.ink(left + i * BitmapFont.ADVANCE * textScale + x, top + y);
          }
        }
      }
    }
  }

  /// Pixels to draw on.
  @SuppressWarnings("ArrayRecordComponent") // a view of the array, never compared
  private record Canvas(int width, byte[] rgb) {
    void copy(RgbImage image, int fromX, int fromY, int x, int y) {
      for (int channel = 0; channel < 3; channel++) {
        rgb[3 * (y * width + x) + channel] = (byte) image.get(fromX, fromY, channel);
      }
    }

    void ink(int x, int y) {
      Arrays.fill(rgb, 3 * (y * width + x), 3 * (y * width + x) + 3, INK);
    }
  }
}
