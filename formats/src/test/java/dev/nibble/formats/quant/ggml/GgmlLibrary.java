package dev.nibble.formats.quant.ggml;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// ggml's own quantizers, from a built `libggml-base`.
// Calling C is what this class is for.
@SuppressWarnings("restricted")
final class GgmlLibrary {
  private static final String PROPERTY = "ggml.lib";

  private final MethodHandle quantize;
  private final Map<GgmlType, MethodHandle> dequantize = new EnumMap<>(GgmlType.class);

  private GgmlLibrary(SymbolLookup library) {
    quantize =
        function(
            library,
            "ggml_quantize_chunk",
            FunctionDescriptor.of(
                JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS));
    for (GgmlType type : GgmlType.values()) {
      if (type.isQuantized()) {
        dequantize.put(
            type,
            function(
                library,
                "dequantize_row_" + symbol(type),
                FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, JAVA_LONG)));
      }
    }
  }

  /// As in `q4_K`.
  private static String symbol(GgmlType type) {
    String lower = type.name().toLowerCase(Locale.ROOT);
    return lower.endsWith("_k") ? lower.replace("_k", "_K") : lower;
  }

  private static MethodHandle function(
      SymbolLookup library, String name, FunctionDescriptor descriptor) {
    return Linker.nativeLinker().downcallHandle(library.findOrThrow(name), descriptor);
  }

  /// The library that the property `ggml.lib` names, if any.
  static Optional<GgmlLibrary> named(Arena arena) {
    return Optional.ofNullable(System.getProperty(PROPERTY))
        .filter(file -> !file.isEmpty())
        .map(file -> new GgmlLibrary(SymbolLookup.libraryLookup(Path.of(file), arena)));
  }

  /// @param importance a float for each column, or NULL
  void encode(
      GgmlType type,
      MemorySegment x,
      long rows,
      long columns,
      MemorySegment importance,
      MemorySegment blocks) {
    try {
      long bytes = (long) quantize.invokeExact(type.id(), x, blocks, 0L, rows, columns, importance);
      if (bytes != blocks.byteSize()) {
        throw new IllegalStateException(bytes + " bytes of " + blocks.byteSize());
      }
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  void decode(GgmlType type, MemorySegment blocks, MemorySegment x, long elements) {
    MethodHandle function = dequantize.get(type);
    if (function == null) {
      throw new IllegalArgumentException(type + " is not quantized");
    }
    try {
      function.invokeExact(blocks, x, elements);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
