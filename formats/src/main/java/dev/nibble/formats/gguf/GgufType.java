package dev.nibble.formats.gguf;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/// Types of metadata values. Source: ggml, `include/gguf.h`, `enum gguf_type`.
public enum GgufType {
  U8(0, 1),
  I8(1, 1),
  U16(2, 2),
  I16(3, 2),
  U32(4, 4),
  I32(5, 4),
  F32(6, 4),
  BOOL(7, 1),
  STRING(8, 8),
  ARRAY(9, 12),
  U64(10, 8),
  I64(11, 8),
  F64(12, 8);

  private static final Map<Integer, GgufType> BY_ID =
      Arrays.stream(values())
          .collect(Collectors.toUnmodifiableMap(GgufType::id, Function.identity()));

  private final int id;
  private final int leastBytes;

  GgufType(int id, int leastBytes) {
    this.id = id;
    this.leastBytes = leastBytes;
  }

  /// The number that stands for the type in a file.
  public int id() {
    return id;
  }

  /// Bytes of a value; of a string or an array, of an empty one.
  int leastBytes() {
    return leastBytes;
  }

  static Optional<GgufType> byId(int id) {
    return Optional.ofNullable(BY_ID.get(id));
  }
}
