package dev.nibble.formats.gguf;

import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Parses one header. What a file claims is never believed before the bytes are there: counts size
/// nothing.
final class GgufParser {
  private static final byte[] MAGIC = {'G', 'G', 'U', 'F'};
  private static final int MOST_DIMS = 8;
  private static final int MOST_NESTED = 4;

  /// Of all arrays together; the largest vocabularies have a tenth of it.
  private static final int MOST_ARRAY_ELEMENTS = 1 << 22;

  private final Path path;
  private final MemorySegment bytes;
  private final GgufCursor cursor;
  private final Map<String, GgufValue> metadata = new LinkedHashMap<>();
  private final Map<String, GgufTensor> tensors = new LinkedHashMap<>();
  private long arrayElements;

  /// A tensor as the header has it; the offset counts from the start of the data.
  private record Entry(String name, GgmlType type, Shape shape, long offset, long at) {}

  GgufParser(Path path, MemorySegment bytes) {
    this.path = path;
    this.bytes = bytes;
    this.cursor = new GgufCursor(path, bytes);
  }

  GgufHeader parse() {
    int version = version();
    long tensorCount = cursor.int64("the number of tensors");
    long pairCount = cursor.int64("the number of metadata pairs");
    // The shortest pair has 14 bytes and the shortest tensor 24.
    requireCount(8, "tensors", tensorCount, 24);
    requireCount(16, "metadata pairs", pairCount, 14);
    for (long i = 0; i < pairCount; i++) {
      readPair();
    }
    requireWhole();
    long alignment = alignment();
    List<Entry> entries = new ArrayList<>();
    for (long i = 0; i < tensorCount; i++) {
      entries.add(readTensor());
    }
    long start = Math.ceilDiv(cursor.position(), alignment) * alignment;
    place(entries, start, alignment);
    return new GgufHeader(version, metadata, tensors, Math.min(start, bytes.byteSize()));
  }

  private int version() {
    long at = cursor.skip(MAGIC.length, "a GGUF file's mark");
    if (bytes.asSlice(at, MAGIC.length).mismatch(MemorySegment.ofArray(MAGIC)) != -1) {
      throw cursor.fault(0, "the mark GGUF of a GGUF file", "other bytes");
    }
    int version = cursor.int32("a version");
    if (version == 2 || version == 3) {
      return version;
    }
    int swapped = Integer.reverseBytes(version);
    if (swapped == 2 || swapped == 3) {
      throw new UnsupportedException(
          path.toString(),
          "is a big-endian GGUF file and nibble reads little-endian ones: convert it with gguf-py's"
              + " gguf-convert-endian FILE little, or fetch the little-endian file");
    }
    throw cursor.fault(
        4,
        "GGUF version 2 or 3",
        "version "
            + Integer.toUnsignedString(version)
            + (version == 1 ? ": convert the model again with a newer tool" : ""));
  }

  private void requireCount(long at, String what, long count, long leastBytes) {
    if (count < 0 || count > cursor.remaining() / leastBytes) {
      throw cursor.fault(
          at,
          "%s that fit the file's %,d bytes".formatted(what, bytes.byteSize()),
          Long.toUnsignedString(count) + GgufCursor.INCOMPLETE);
    }
  }

  private void readPair() {
    long at = cursor.position();
    String key = cursor.name("a metadata key");
    if (key.isEmpty()) {
      throw cursor.fault(at, "a metadata key", "an empty one");
    }
    GgufValue value = value(type(key), key, 0);
    if (metadata.put(key, value) != null) {
      throw cursor.fault(
          at, "each metadata key once", "'" + Text.printable(key) + "' a second time");
    }
  }

  private GgufType type(String key) {
    int id = cursor.int32("a type");
    return GgufType.byId(id)
        .orElseThrow(() ->
            cursor.fault(
                cursor.position() - 4,
                "a type from 0 to 12 for metadata '" + Text.printable(key) + "'",
                Integer.toUnsignedString(id)));
  }

  private GgufValue value(GgufType type, String key, int depth) {
    String what = "a value";
    return switch (type) {
      case U8 -> new GgufValue.Whole(type, cursor.int8(what) & 0xFF);
      case I8 -> new GgufValue.Whole(type, cursor.int8(what));
      case U16 -> new GgufValue.Whole(type, cursor.int16(what) & 0xFFFF);
      case I16 -> new GgufValue.Whole(type, cursor.int16(what));
      case U32 -> new GgufValue.Whole(type, Integer.toUnsignedLong(cursor.int32(what)));
      case I32 -> new GgufValue.Whole(type, cursor.int32(what));
      case U64, I64 -> new GgufValue.Whole(type, cursor.int64(what));
      case F32 -> new GgufValue.Real(type, cursor.float32(what));
      case F64 -> new GgufValue.Real(type, cursor.float64(what));
      case BOOL -> new GgufValue.Bool(cursor.int8(what) != 0);
      case STRING -> new GgufValue.Text(cursor.text("a string"));
      case ARRAY -> array(key, depth + 1);
    };
  }

  private GgufValue array(String key, int depth) {
    if (depth > MOST_NESTED) {
      throw cursor.fault(
          cursor.position(),
          "arrays nested at most " + MOST_NESTED + " deep",
          "deeper ones in metadata '" + Text.printable(key) + "'");
    }
    GgufType element = type(key);
    long count = cursor.int64("an array's length");
    if (count < 0 || count > cursor.remaining() / element.leastBytes()) {
      throw cursor.fault(
          cursor.position() - 8,
          "an array that fits the file for metadata '" + Text.printable(key) + "'",
          Long.toUnsignedString(count) + " elements" + GgufCursor.INCOMPLETE);
    }
    arrayElements += count;
    if (arrayElements > MOST_ARRAY_ELEMENTS) {
      throw new UnsupportedException(
          path.toString(),
          "its metadata has more than %,d array elements, which no model needs"
              .formatted(MOST_ARRAY_ELEMENTS));
    }
    List<GgufValue> values = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      values.add(value(element, key, depth));
    }
    return new GgufValue.Array(element, values);
  }

  private void requireWhole() {
    if (metadata.get("split.count") instanceof GgufValue.Whole parts && parts.value() > 1) {
      throw new UnsupportedException(
          path.toString(),
          "is one of "
              + parts.text()
              + " parts of a model: join them with llama.cpp's llama-gguf-split --merge");
    }
  }

  private long alignment() {
    GgufValue value = metadata.get(GgufHeader.ALIGNMENT);
    if (value == null) {
      return GgufHeader.DEFAULT_ALIGNMENT;
    }
    if (value instanceof GgufValue.Whole whole
        && whole.type() == GgufType.U32
        && Long.bitCount(whole.value()) == 1) {
      return whole.value();
    }
    throw new FormatException(
        Where.in(path),
        "a power of two of type U32 as " + GgufHeader.ALIGNMENT,
        value.type() + " " + Text.printable(value.text()));
  }

  private Entry readTensor() {
    long at = cursor.position();
    String name = cursor.name("a tensor's name");
    Where where = Where.in(path).tensor(name).at(at);
    int rank = cursor.int32("a number of dimensions");
    if (rank < 0 || rank > MOST_DIMS) {
      throw new FormatException(
          where, "at most " + MOST_DIMS + " dimensions", Integer.toUnsignedString(rank));
    }
    List<Long> dims = new ArrayList<>();
    for (int i = 0; i < rank; i++) {
      long dim = cursor.int64("a dimension");
      if (dim < 0) {
        throw new FormatException(
            where, "dimensions below 2^63", "dimension " + Long.toUnsignedString(dim));
      }
      dims.addFirst(dim);
    }
    GgmlType type = tensorType(name, cursor.int32("a tensor's type"), where);
    return new Entry(name, type, new Shape(dims), cursor.int64("a tensor's offset"), at);
  }

  private GgmlType tensorType(String name, int id, Where where) {
    return GgmlType.byId(id)
        .orElseThrow(() ->
            GgmlType.otherName(id)
                .<RuntimeException>map(other ->
                    new UnsupportedException(
                        path + ": tensor '" + Text.printable(name) + "'",
                        "is of ggml's type "
                            + other
                            + ", which nibble does not read: fetch the model in another"
                            + " quantization, such as Q8_0"))
                .orElseGet(() ->
                    new FormatException(
                        where, "a type of ggml", "number " + Integer.toUnsignedString(id))));
  }

  /// Tensors must lie in the file, in the order of the header, and not overlap.
  private void place(List<Entry> entries, long start, long alignment) {
    long end = 0;
    for (Entry entry : entries) {
      Where where = Where.in(path).tensor(entry.name()).at(entry.at());
      long size = byteSize(entry, where);
      if (entry.offset() < 0 || entry.offset() % alignment != 0) {
        throw new FormatException(
            where,
            "an offset that is a multiple of " + alignment,
            Long.toUnsignedString(entry.offset()));
      }
      if (entry.offset() < end) {
        throw new FormatException(
            where,
            "an offset of at least %,d, where the tensor before it ends".formatted(end),
            "%,d: tensors may neither overlap nor change places".formatted(entry.offset()));
      }
      if (start > bytes.byteSize() - size || entry.offset() > bytes.byteSize() - size - start) {
        throw new FormatException(
            where,
            "%,d bytes of data from byte %s of the file"
                .formatted(size, Long.toUnsignedString(start + entry.offset())),
            "a file of %,d bytes".formatted(bytes.byteSize()) + GgufCursor.INCOMPLETE);
      }
      end = entry.offset() + size;
      GgufTensor tensor =
          new GgufTensor(entry.name(), entry.type(), entry.shape(), start + entry.offset(), size);
      if (tensors.put(entry.name(), tensor) != null) {
        throw new FormatException(where, "each tensor name once", "this one a second time");
      }
    }
  }

  private static long byteSize(Entry entry, Where where) {
    Shape shape = entry.shape();
    if (!entry.type().fits(shape)) {
      throw new FormatException(
          where,
          "rows that are a multiple of the %d elements of a %s block"
              .formatted(entry.type().blockSize(), entry.type()),
          "shape " + shape);
    }
    try {
      // Without regard to dimensions of 0, which could hide an overflow.
      long elements = 1;
      for (long dim : shape.dims()) {
        elements = Math.multiplyExact(elements, Math.max(1, dim));
      }
      entry.type().byteSize(elements);
      return entry.type().byteSize(shape.elements());
    } catch (ArithmeticException _) {
      throw new FormatException(where, "a size that fits 64 bits", "shape " + shape);
    }
  }
}
