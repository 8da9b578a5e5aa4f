package dev.nibble.formats.safetensors;

import dev.nibble.formats.DType;
import dev.nibble.formats.FileKind;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The header of a safetensors file, parsed and validated.
///
/// | bytes | content |
/// |---|---|
/// | 0..7 | N, little-endian, at most 100,000,000 |
/// | 8..8+N | JSON: name to `dtype`, `shape`, `data_offsets`; `__metadata__` to strings |
/// | rest | tensor data, without holes, overlaps or a remainder |
///
/// Accepts and refuses what the official library (safetensors 0.8, `tensor.rs`) does, with two
/// exceptions, both refused here: a name that occurs twice, and a dimension or a product of
/// dimensions of 2^63 and more (which can only occur beside a dimension of 0).
///
/// @param tensors by name, in the order of the data; offsets count from the start of the file
/// @param metadata the file's `__metadata__`, in its order; empty where there is none
/// @param headerSize bytes before the tensor data: 8 + N
public record SafetensorsHeader(
    Map<String, TensorInfo> tensors, Map<String, String> metadata, long headerSize) {
  /// Longest header that the format allows, without the 8 bytes of its length.
  public static final long MAX_LENGTH = 100_000_000;

  static final int LENGTH_BYTES = 8;

  public SafetensorsHeader {
    // Not copied: a header may have a million tensors, and parse gives its maps away.
    tensors = Collections.unmodifiableMap(tensors);
    metadata = Collections.unmodifiableMap(metadata);
  }

  /// A tensor as the JSON has it; the range counts from the start of the data.
  record Entry(String name, DType dtype, Shape shape, long begin, long end) {}

  /// Parses the header and checks every tensor's range against the file. Reads no tensor data.
  ///
  /// @param path the file, for messages
  /// @param file its index in the checkpoint, for the tensors
  /// @param bytes the whole file; borrowed
  /// @throws FormatException naming the place of the first fault
  public static SafetensorsHeader parse(Path path, int file, MemorySegment bytes) {
    long length = length(path, bytes);
    HeaderParser.Content content;
    try {
      content = HeaderParser.parse(path, bytes.asSlice(LENGTH_BYTES, length), LENGTH_BYTES);
    } catch (FormatException e) {
      throw FileKind.of(bytes).foreign().map(found -> foreign(path, found)).orElse(e);
    }
    long dataSize = bytes.byteSize() - LENGTH_BYTES - length;
    var checker = new LayoutChecker(path, LENGTH_BYTES + length, dataSize);
    List<Entry> entries = content.tensors();
    entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    Map<String, TensorInfo> tensors = LinkedHashMap.newLinkedHashMap(entries.size());
    for (Entry entry : entries) {
      tensors.put(entry.name(), checker.check(entry, file));
    }
    checker.end();
    return new SafetensorsHeader(tensors, content.metadata(), LENGTH_BYTES + length);
  }

  private static long length(Path path, MemorySegment bytes) {
    long size = bytes.byteSize();
    if (size >= LENGTH_BYTES) {
      long length = bytes.get(LittleEndian.LONG, 0);
      if (length >= 0 && length <= MAX_LENGTH && length <= size - LENGTH_BYTES) {
        return length;
      }
    }
    throw FileKind.of(bytes)
        .foreign()
        .map(found -> foreign(path, found))
        .orElseGet(() -> badLength(path, bytes));
  }

  private static FormatException foreign(Path path, String found) {
    return new FormatException(Where.in(path), "a safetensors file", found);
  }

  private static FormatException badLength(Path path, MemorySegment bytes) {
    long size = bytes.byteSize();
    if (size < LENGTH_BYTES) {
      String found = size == 0 ? "an empty file" : "a file of %d bytes".formatted(size);
      return new FormatException(
          Where.in(path), "a safetensors file", found + LayoutChecker.INCOMPLETE);
    }
    long length = bytes.get(LittleEndian.LONG, 0);
    if (length < 0 || length > MAX_LENGTH) {
      return new FormatException(
          Where.in(path).at(0),
          "a safetensors file, with a header of at most %,d bytes".formatted(MAX_LENGTH),
          "a length of " + Long.toUnsignedString(length));
    }
    return new FormatException(
        Where.in(path).at(0),
        "a header of %,d bytes, so a file of at least %,d".formatted(length, length + LENGTH_BYTES),
        "a file of %,d bytes".formatted(size) + LayoutChecker.INCOMPLETE);
  }
}
