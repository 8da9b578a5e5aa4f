package dev.nibble.converter;

import dev.nibble.formats.Shape;
import dev.nibble.formats.gguf.GgufValue;
import dev.nibble.formats.gguf.ImportanceMatrix;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/// What a plan for a GGUF file says besides its tensors.
///
/// @param metadata in the order of the file; what the run adds comes after it
/// @param cut shapes of the tensors whose rows are cut anew, by name
/// @param imatrix the importance matrix that weights are quantized with
public record GgufFile(
    Map<String, GgufValue> metadata, Map<String, Shape> cut, Optional<ImportanceMatrix> imatrix) {
  public GgufFile {
    metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    cut = Map.copyOf(cut);
  }
}
