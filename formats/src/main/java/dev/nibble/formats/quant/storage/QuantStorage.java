package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/// A dialect of quantized files: which named tensors hold the parts of a weight.
public sealed interface QuantStorage
    permits BitsAndBytesStorage, CompressedTensorsStorage, NibbleStorage, GgufStorage {
  /// Short name: `bitsandbytes`, `compressed-tensors`, `nibble`, `gguf`.
  String id();

  /// Whether this dialect can express the scheme on a weight of this shape.
  boolean stores(QuantScheme scheme, Shape shape);

  /// The tensors that will hold a weight, {@link Part#CODES} first; known before any data is read.
  ///
  /// @param weight full name, ending in `.weight`
  List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source);

  /// The bytes of a weight's {@link StoredTensor.Document}.
  ///
  /// @param parts the finished parts, {@link Part#CODES} not needed
  byte[] document(QuantScheme scheme, Shape shape, DType source, Map<Part, MemorySegment> parts);
}
