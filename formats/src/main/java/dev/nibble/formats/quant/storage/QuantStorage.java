package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/// A dialect of quantized files: which named tensors hold the parts of a weight.
public sealed interface QuantStorage
    permits BitsAndBytesStorage,
        CompressedTensorsStorage,
        NibbleStorage,
        GptqStorage,
        AwqStorage,
        ComfyStorage,
        PlainStorage,
        GgufStorage {
  /// Short name: `bitsandbytes`, `compressed-tensors`, `nibble`, `gptq`, `gguf`.
  String id();

  /// Whether this dialect can express the scheme on a weight of this shape.
  boolean stores(QuantScheme scheme, Shape shape);

  /// The scheme as this dialect's readers want it: with scales of another type, say. Most take
  /// schemes as they are.
  ///
  /// @param source dtype of the weight
  default QuantScheme adapt(QuantScheme scheme, DType source) {
    return scheme;
  }

  /// How this dialect arranges the parts of a weight.
  default PartLayout layout(QuantScheme scheme) {
    return PartLayout.PLAIN;
  }

  /// The tensors that will hold a weight, {@link Part#CODES} first; known before any data is read.
  ///
  /// @param weight full name, ending in `.weight`
  List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source);

  /// The bytes of a weight's {@link StoredTensor.Document}.
  ///
  /// @param parts the finished parts, {@link Part#CODES} not needed
  /// @throws IllegalArgumentException if this dialect stores none for the scheme
  default byte[] document(
      QuantScheme scheme, Shape shape, DType source, Map<Part, MemorySegment> parts) {
    throw new IllegalArgumentException(id() + " stores no document of " + scheme.id());
  }

  /// A tensor that a file has once, whatever its weights.
  ///
  /// @param weights scheme of each weight of this dialect by its full name, at least one
  default Optional<StoredTensor> fileMarker(SequencedMap<String, QuantScheme> weights) {
    return Optional.empty();
  }

  /// Entries of a file's metadata that tell of its weights.
  ///
  /// @param weights as of {@link #fileMarker}
  default Map<String, String> metadata(SequencedMap<String, QuantScheme> weights) {
    return Map.of();
  }
}
