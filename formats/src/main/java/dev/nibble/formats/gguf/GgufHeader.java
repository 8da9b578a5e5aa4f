package dev.nibble.formats.gguf;

import dev.nibble.formats.FormatException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.UnsupportedException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The header of a GGUF file, version 2 or 3, parsed and validated.
///
/// | bytes | content |
/// |---|---|
/// | 0..3 | `GGUF` |
/// | 4..7 | version |
/// | 8..23 | number of tensors, number of metadata pairs: 64 bits each |
/// | then | metadata: key, type, value |
/// | then | tensors: name, number of dimensions, dimensions (fastest first), type, offset |
/// | from the next multiple of the alignment | tensor data, each tensor aligned |
///
/// Refuses what ggml refuses when it loads data, and names or keys that are not UTF-8 and sizes
/// that overflow, which ggml lets through. Reads some of what ggml refuses and other tools write:
/// gaps between tensors, names longer than 63 bytes, more than 4 dimensions, arrays of arrays, a
/// last tensor without padding. Source: ggml, `src/gguf.cpp` and `docs/gguf.md`.
///
/// @param version 2 or 3
/// @param metadata by key, in the order of the file
/// @param tensors by name, in the order of the file; offsets count from the start of the file
/// @param size bytes before the first byte of tensor data
public record GgufHeader(
    int version, Map<String, GgufValue> metadata, Map<String, GgufTensor> tensors, long size) {
  /// Metadata key of a tensor's alignment, which is a power of two.
  public static final String ALIGNMENT = "general.alignment";

  /// Metadata key of the architecture.
  public static final String ARCHITECTURE = "general.architecture";

  /// The alignment where the metadata names none.
  public static final int DEFAULT_ALIGNMENT = 32;

  /// ComfyUI-GGUF's key of the shape that a tensor had before its rows were cut anew; a tensor's
  /// name follows.
  public static final String ORIGINAL_SHAPE = "comfy.gguf.orig_shape.";

  public GgufHeader {
    // Not copied: a header may have a million tensors, and parse gives its maps away.
    metadata = Collections.unmodifiableMap(metadata);
    tensors = Collections.unmodifiableMap(tensors);
  }

  /// Parses the header and checks every tensor's range against the file. Reads no tensor data.
  ///
  /// @param path the file, for messages
  /// @param bytes the whole file; borrowed
  /// @throws FormatException naming the place of the first fault
  /// @throws UnsupportedException for a tensor of a type that nibble doesn't know, a big-endian
  ///   file, and one part of a split file
  public static GgufHeader parse(Path path, MemorySegment bytes) {
    return new GgufParser(path, bytes).parse();
  }

  /// The text under that key.
  public Optional<String> text(String key) {
    return metadata.get(key) instanceof GgufValue.Text text
        ? Optional.of(text.value())
        : Optional.empty();
  }

  /// The shape that the model gives a tensor: the one of the file, unless its rows were cut anew to
  /// fit blocks.
  ///
  /// @throws FormatException if the metadata names a shape of another size
  public Shape shape(Path path, GgufTensor tensor) {
    if (!(metadata.get(ORIGINAL_SHAPE + tensor.name()) instanceof GgufValue.Array array)) {
      return tensor.shape();
    }
    List<Long> dims = new ArrayList<>();
    for (GgufValue value : array.values()) {
      if (value instanceof GgufValue.Whole whole && whole.value() >= 0) {
        dims.add(whole.value());
      }
    }
    Shape shape = new Shape(dims);
    if (dims.size() != array.values().size() || !sameSize(shape, tensor.shape())) {
      throw new FormatException(
          FormatException.Where.in(path).tensor(tensor.name()),
          "an original shape of %,d elements".formatted(tensor.shape().elements()),
          array.text());
    }
    return shape;
  }

  private static boolean sameSize(Shape shape, Shape other) {
    try {
      return shape.elements() == other.elements();
    } catch (ArithmeticException _) {
      return false;
    }
  }
}
