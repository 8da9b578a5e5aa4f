package dev.nibble.runtime.cuda.upload;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/// Neighbouring pages of the host that are registered, copied from and unregistered together.
///
/// @param address of the first page
/// @param bytes of whole pages
/// @param pieces what to copy from them, by address; nothing reaches beyond them
record Slice(long address, long bytes, List<Piece> pieces) {
  /// JCuda's libraries exist for x86-64 only.
  static final long PAGE = 4096;

  Slice {
    pieces = List.copyOf(pieces);
  }

  long payload() {
    return pieces.stream().mapToLong(piece -> piece.source().byteSize()).sum();
  }

  /// Whether registering the pages costs less than copying what is wanted of them once more:
  /// scattered small pieces are better copied.
  boolean isDense() {
    return payload() >= bytes / 2;
  }

  /// Cuts pieces into slices that share no page: a page can be registered once only.
  ///
  /// @param most bytes of a slice, a multiple of {@link #PAGE}
  static List<Slice> of(List<Piece> pieces, long most) {
    List<Piece> sorted =
        pieces.stream()
            .filter(piece -> piece.source().byteSize() > 0)
            .sorted(Comparator.comparingLong(piece -> piece.source().address()))
            .toList();
    List<Slice> slices = new ArrayList<>();
    Growing growing = new Growing(most);
    for (Piece piece : sorted) {
      long begin = piece.source().address();
      long end = begin + piece.source().byteSize();
      for (long at = begin; at < end; ) {
        if (!growing.reaches(at)) {
          growing.flush(slices);
          growing.begin(at);
        }
        long upTo = Math.min(end, growing.limit());
        growing.add(piece.part(at - begin, upTo - at));
        at = upTo;
      }
    }
    growing.flush(slices);
    return slices;
  }

  private static final class Growing {
    private final long most;
    private final List<Piece> pieces = new ArrayList<>();
    private long first;
    private long end; // of the last page so far

    Growing(long most) {
      this.most = most;
    }

    void begin(long at) {
      first = at / PAGE * PAGE;
      end = first;
    }

    long limit() {
      return first + most;
    }

    /// Whether an address lies in this slice, on its last page or the one behind it.
    boolean reaches(long at) {
      return !pieces.isEmpty() && at < limit() && at / PAGE * PAGE <= end;
    }

    void add(Piece piece) {
      pieces.add(piece);
      long last = piece.source().address() + piece.source().byteSize();
      end = Math.max(end, Math.ceilDiv(last, PAGE) * PAGE);
    }

    void flush(List<Slice> slices) {
      if (!pieces.isEmpty()) {
        slices.add(new Slice(first, end - first, pieces));
        pieces.clear();
      }
    }
  }
}
