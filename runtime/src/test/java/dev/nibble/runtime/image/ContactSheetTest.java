package dev.nibble.runtime.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.image.ContactSheet.Cell;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class ContactSheetTest {
  private static RgbImage plain(int width, int height, int red) {
    byte[] rgb = new byte[3 * width * height];
    for (int i = 0; i < rgb.length; i += 3) {
      rgb[i] = (byte) red;
    }
    return new RgbImage(width, height, rgb);
  }

  @Test
  void picturesLieInTheirPlacesEnlargedByAWholeFactor() {
    List<Cell> cells = new ArrayList<>();
    for (int red : new int[] {10, 20, 30}) {
      cells.add(new Cell(plain(64, 32, red), List.of()));
    }
    RgbImage sheet = ContactSheet.draw(cells, 2);
    assertEquals(8 + 2 * (3 * 64 + 8), sheet.width());
    assertEquals(8 + 2 * (3 * 32 + 8), sheet.height());
    assertEquals(255, sheet.get(7, 8, 0));
    assertEquals(10, sheet.get(8, 8, 0));
    assertEquals(10, sheet.get(8 + 191, 8 + 95, 0));
    assertEquals(255, sheet.get(8 + 192, 8, 0));
    assertEquals(20, sheet.get(8 + 200, 8, 0));
    assertEquals(30, sheet.get(8, 8 + 104, 0));
    assertEquals(255, sheet.get(8 + 200, 8 + 104, 0)); // no fourth picture
    assertEquals(0, sheet.get(8, 8, 1));
  }

  @Test
  void textStandsUnderItsPicture() {
    RgbImage picture = plain(192, 10, 200);
    RgbImage sheet = ContactSheet.draw(List.of(new Cell(picture, List.of("T", "L"))), 1);
    // Below the picture, the gap and then the letters as the font draws them.
    assertEquals(
        List.of("#####", "..#..", "..#..", "..#..", "..#..", "..#..", "..#.."),
        glyph(sheet, 8, 8 + 10 + 4));
    assertEquals(
        List.of("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
        glyph(sheet, 8, 8 + 10 + 4 + BitmapFont.LINE));
  }

  private static List<String> glyph(RgbImage sheet, int left, int top) {
    List<String> rows = new ArrayList<>();
    for (int y = 0; y < 7; y++) {
      StringBuilder row = new StringBuilder();
      for (int x = 0; x < 5; x++) {
        row.append(sheet.get(left + x, top + y, 0) < 128 ? '#' : '.');
      }
      rows.add(row.toString());
    }
    return rows;
  }

  @Test
  void longTextWidensAndWidePicturesEnlargeIt() {
    String text = "x".repeat(50);
    RgbImage narrow = ContactSheet.draw(List.of(new Cell(plain(192, 4, 1), List.of(text))), 1);
    assertEquals(16 + 50 * 6, narrow.width());
    RgbImage wide = ContactSheet.draw(List.of(new Cell(plain(768, 4, 1), List.of("T"))), 1);
    int top = 8 + 4 + 4;
    for (int x = 0; x < 10; x++) {
      assertTrue(wide.get(8 + x, top, 0) < 128 && wide.get(8 + x, top + 1, 0) < 128, "at " + x);
    }
  }

  @Test
  void theFontHasEveryPrintableCharacterOnce() {
    BitmapFont font = BitmapFont.load();
    assertEquals('~' - ' ', font.glyphs().size());
    List<String> shapes = new ArrayList<>();
    for (int point = '!'; point <= '~'; point++) {
      shapes.add(Arrays.toString(font.glyphs().get(point)));
    }
    assertEquals(shapes.size(), shapes.stream().distinct().count());
    assertEquals("Apfel ?", new String(BitmapFont.points("Äpfel 赤"), 0, 7));
  }

  @Test
  void aSheetNeedsPicturesAndColumns() {
    assertThrows(IllegalArgumentException.class, () -> ContactSheet.draw(List.of(), 1));
    Cell cell = new Cell(plain(4, 4, 1), List.of());
    assertThrows(IllegalArgumentException.class, () -> ContactSheet.draw(List.of(cell), 0));
  }
}
