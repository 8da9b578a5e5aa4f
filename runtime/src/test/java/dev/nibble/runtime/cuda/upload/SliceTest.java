package dev.nibble.runtime.cuda.upload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class SliceTest {
  private static final long PAGE = Slice.PAGE;

  private final Arena arena = Arena.ofAuto();
  private final MemorySegment file = arena.allocate(1000 * PAGE, PAGE);

  private Piece piece(long offset, long bytes, long target) {
    return new Piece(file.asSlice(offset, bytes), target);
  }

  @Test
  void neighboursShareASlice() {
    List<Slice> slices = Slice.of(List.of(piece(100, 5000, 0), piece(5100, 10, 8192)), 100 * PAGE);
    assertEquals(1, slices.size());
    assertEquals(file.address(), slices.getFirst().address());
    assertEquals(2 * PAGE, slices.getFirst().bytes());
    assertEquals(5010, slices.getFirst().payload());
    assertTrue(slices.getFirst().isDense());
  }

  @Test
  void gapsOfWholePagesPartSlices() {
    List<Slice> slices =
        Slice.of(List.of(piece(0, PAGE, 0), piece(3 * PAGE + 7, 10, 8192)), 100 * PAGE);
    assertEquals(2, slices.size());
    assertEquals(file.address() + 3 * PAGE, slices.get(1).address());
    assertFalse(slices.get(1).isDense());
  }

  @Test
  void largePiecesAreCutBetweenPages() {
    List<Slice> slices = Slice.of(List.of(piece(10, 10 * PAGE, 1 << 20)), 4 * PAGE);
    assertEquals(3, slices.size());
    assertEquals(4 * PAGE - 10, slices.getFirst().payload());
    assertEquals((1 << 20) + 4 * PAGE - 10, slices.get(1).pieces().getFirst().target());
    assertEquals(2 * PAGE + 10, slices.get(2).payload());
  }

  @Test
  void everyByteGoesOnceToItsPlaceAndNoPageIsInTwoSlices() {
    for (int seed = 0; seed < 50; seed++) {
      SplittableRandom random = new SplittableRandom(seed);
      List<Piece> pieces = new ArrayList<>();
      long at = random.nextLong(2 * PAGE);
      while (at < 900 * PAGE) {
        long bytes = random.nextInt(4) == 0 ? random.nextLong(20 * PAGE) : random.nextLong(300);
        pieces.add(random.nextInt(pieces.size() + 1), piece(at, bytes, 7 * at));
        at += bytes + (random.nextBoolean() ? 0 : random.nextLong(3 * PAGE));
      }
      long most = PAGE * random.nextLong(1, 30);
      Set<Long> pages = new HashSet<>();
      long payload = 0;
      for (Slice slice : Slice.of(pieces, most)) {
        assertTrue(slice.bytes() <= most, "seed " + seed);
        assertEquals(0, slice.address() % PAGE);
        for (long page = 0; page < slice.bytes(); page += PAGE) {
          assertTrue(pages.add(slice.address() + page), "seed " + seed);
        }
        for (Piece part : slice.pieces()) {
          long offset = part.source().address() - file.address();
          assertTrue(part.source().address() >= slice.address());
          assertTrue(
              part.source().address() + part.source().byteSize()
                  <= slice.address() + slice.bytes());
          assertTrue(
              pieces.stream()
                  .anyMatch(whole -> {
                    long begin = whole.source().address() - file.address();
                    return begin <= offset
                        && offset + part.source().byteSize() <= begin + whole.source().byteSize()
                        && part.target() == whole.target() + offset - begin;
                  }),
              "seed " + seed);
        }
        payload += slice.payload();
      }
      assertEquals(
          pieces.stream().mapToLong(piece -> piece.source().byteSize()).sum(),
          payload,
          "seed " + seed);
    }
  }

  @Test
  void arraysOfJavaAreRefused() {
    assertThrows(
        IllegalArgumentException.class, () -> new Piece(MemorySegment.ofArray(new byte[8]), 0));
  }
}
