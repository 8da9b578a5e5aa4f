package dev.nibble.runtime.cuda.upload;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Bytes of the host and where they belong on the device.
///
/// @param source of any kind, such as a slice of a mapped file; borrowed until the upload ends
/// @param target device address of memory of the same size
public record Piece(MemorySegment source, long target) {
  long byteSize() {
    return source.byteSize();
  }

  /// The pieces, the large ones cut.
  ///
  /// @param most bytes of a part
  static List<Piece> cut(List<Piece> pieces, long most) {
    List<Piece> parts = new ArrayList<>();
    for (Piece piece : pieces) {
      for (long at = 0; at < piece.byteSize(); at += most) {
        long bytes = Math.min(most, piece.byteSize() - at);
        parts.add(new Piece(piece.source.asSlice(at, bytes), piece.target + at));
      }
    }
    return parts;
  }
}
