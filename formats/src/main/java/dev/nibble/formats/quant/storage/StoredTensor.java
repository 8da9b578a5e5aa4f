package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.Part;
import java.util.List;

/// One tensor on disk that holds a piece of a quantized weight.
///
/// @param name full name in the file
/// @param content what it holds
public record StoredTensor(String name, Content content) {

  /// What a stored tensor holds.
  public sealed interface Content {}

  /// A part of the quantized weight, arranged as {@link QuantStorage#layout} says.
  public record PartContent(Part part, DType dtype, Shape shape) implements Content {}

  /// The same bytes whatever the data.
  public record Constant(DType dtype, Shape shape, List<Byte> bytes) implements Content {}

  /// A U8 vector whose length depends on the data, so that it must stand last in the file.
  ///
  /// @param maxLength an upper bound
  public record Document(int maxLength) implements Content {}
}
