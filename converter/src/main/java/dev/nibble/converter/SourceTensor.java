package dev.nibble.converter;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.storage.LogicalTensor;
import java.util.List;

/// A tensor as a conversion takes it from its source: one tensor of it, some rows of one, several
/// joined, decoded where they are quantized. Known from headers alone.
///
/// @param name in the output
/// @param dtype of its elements, once decoded
/// @param shape in the output
/// @param pieces what its elements are, one piece after the other
/// @param transposed the one piece is a matrix of which this is the transpose
public record SourceTensor(
    String name, DType dtype, Shape shape, List<Piece> pieces, boolean transposed) {
  public SourceTensor {
    pieces = List.copyOf(pieces);
    long elements = pieces.stream().mapToLong(Piece::count).sum();
    if (pieces.isEmpty() || elements != shape.elements()) {
      throw new IllegalArgumentException(
          name + " " + shape + " can't be made of " + elements + " elements");
    }
  }

  /// Elements `[first, first + count)` of a tensor of the source.
  ///
  /// @param tensor its logical name
  /// @param quantized whether it is decoded
  /// @param stored the stored tensors that hold it
  /// @param byteSize bytes that the piece takes in the source, statistics included
  public record Piece(
      String tensor,
      boolean quantized,
      List<TensorInfo> stored,
      long first,
      long count,
      long byteSize) {
    public Piece {
      stored = List.copyOf(stored);
    }
  }

  /// A tensor of the source, whole.
  ///
  /// @param decoded the type to decode to, should it be quantized
  public static SourceTensor of(LogicalTensor tensor, DType decoded) {
    return switch (tensor) {
      case LogicalTensor.Dense(TensorInfo info) ->
          whole(info.name(), false, List.of(info), info.dtype(), info.shape());
      case LogicalTensor.Quantized weight ->
          whole(weight.name(), true, weight.stored(), decoded, weight.tensor().shape());
    };
  }

  /// The same, quantized tensors decoded to the type that they had before; to float32 if that is
  /// one that decoders don't write.
  public static SourceTensor of(LogicalTensor tensor) {
    return of(
        tensor,
        switch (tensor) {
          case LogicalTensor.Dense(TensorInfo info) -> info.dtype();
          case LogicalTensor.Quantized weight ->
              switch (weight.tensor().dtype()) {
                case F16, BF16 -> weight.tensor().dtype();
                default -> DType.F32;
              };
        });
  }

  private static SourceTensor whole(
      String name, boolean quantized, List<TensorInfo> stored, DType dtype, Shape shape) {
    long bytes = stored.stream().mapToLong(TensorInfo::byteSize).sum();
    Piece piece = new Piece(name, quantized, stored, 0, shape.elements(), bytes);
    return new SourceTensor(name, dtype, shape, List.of(piece), false);
  }

  /// The same under another name.
  SourceTensor named(String other) {
    return new SourceTensor(other, dtype, shape, pieces, transposed);
  }

  /// Whether it is one tensor of the source, whole and under its own name.
  boolean asStored() {
    return pieces.size() == 1
        && !transposed
        && pieces.getFirst().tensor().equals(name)
        && pieces.getFirst().first() == 0;
  }

  /// Whether any of it is decoded.
  public boolean quantized() {
    return pieces.stream().anyMatch(Piece::quantized);
  }

  /// Bytes that it takes in the source.
  public long byteSize() {
    return pieces.stream().mapToLong(Piece::byteSize).sum();
  }

  /// Index of the source file that holds its first element.
  public int file() {
    return pieces.getFirst().stored().getFirst().file();
  }
}
