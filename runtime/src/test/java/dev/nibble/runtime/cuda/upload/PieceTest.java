package dev.nibble.runtime.cuda.upload;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;

class PieceTest {
  @Test
  void largePiecesAreCutAndEmptyOnesVanish() {
    MemorySegment file = Arena.ofAuto().allocate(1000);
    List<Piece> parts =
        Piece.cut(
            List.of(
                new Piece(file.asSlice(0, 250), 5000),
                new Piece(file.asSlice(300, 0), 9000),
                new Piece(file.asSlice(400, 100), 7000)),
            100);
    assertEquals(List.of(100L, 100L, 50L, 100L), parts.stream().map(Piece::byteSize).toList());
    assertEquals(List.of(5000L, 5100L, 5200L, 7000L), parts.stream().map(Piece::target).toList());
    assertEquals(file.address() + 200, parts.get(2).source().address());
  }
}
