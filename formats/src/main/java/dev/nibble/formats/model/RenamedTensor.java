package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;

/// A tensor under the name of another dialect, and the rows of the source that it is made of.
///
/// ```
/// one source, whole        a renamed tensor
/// one source, some rows    a part of a fused one: to_q of qkv
/// several                  a fused one: qkv of to_q, to_k, to_v
/// two halves of one        FLUX' norm_out, whose scale and shift stand the other way round
/// ```
///
/// @param name in the dialect that was asked for
/// @param shape which may differ from the source's by trailing ones (a 1x1 convolution that the
///   other dialect calls a linear layer), not by number of elements
/// @param pieces joined one after the other along dimension 0
/// @param transposed the one piece, a whole matrix, is stored column by column
public record RenamedTensor(String name, Shape shape, List<Piece> pieces, boolean transposed) {
  public RenamedTensor {
    pieces = List.copyOf(pieces);
  }

  /// Rows `[firstRow, firstRow + rows)` of a source tensor; a row is what one index of dimension 0
  /// holds. A scalar counts as one row.
  public record Piece(String source, long firstRow, long rows) {}
}
