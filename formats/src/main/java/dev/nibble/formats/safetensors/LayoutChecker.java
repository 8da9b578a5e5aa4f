package dev.nibble.formats.safetensors;

import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import dev.nibble.formats.safetensors.SafetensorsHeader.Entry;
import java.nio.file.Path;

/// Checks that tensors, given in the order of their data, cover the data exactly: each begins where
/// the one before it ended, has the size of its dtype and shape, and the last ends with the file.
final class LayoutChecker {
  static final String INCOMPLETE = ": the download is incomplete; fetch this file again";

  private final Path path;
  private final long dataStart;
  private final long dataSize;
  private long covered;

  LayoutChecker(Path path, long dataStart, long dataSize) {
    this.path = path;
    this.dataStart = dataStart;
    this.dataSize = dataSize;
  }

  /// The next tensor, with its offset in the file.
  TensorInfo check(Entry entry, int file) {
    Where where = Where.in(path).tensor(entry.name()).at(fileOffset(entry.begin()));
    if (entry.begin() != covered) {
      throw new FormatException(
          where,
          "data that begins at data offset %,d, where the tensor before it ends".formatted(covered),
          "%,d: tensors may neither overlap nor leave a hole".formatted(entry.begin()));
    }
    if (entry.end() < entry.begin()) {
      throw new FormatException(
          where,
          "data offsets in ascending order",
          "[%,d, %,d]".formatted(entry.begin(), entry.end()));
    }
    long size = byteSize(entry, where);
    if (size != entry.end() - entry.begin()) {
      throw new FormatException(
          where,
          "%,d bytes for %s of shape %s".formatted(size, entry.dtype(), shown(entry)),
          "%,d bytes between its data offsets".formatted(entry.end() - entry.begin()));
    }
    if (entry.end() > dataSize) {
      throw new FormatException(
          where,
          "data up to byte %,d of the file".formatted(fileOffset(entry.end())),
          "a file of %,d bytes".formatted(fileOffset(dataSize)) + INCOMPLETE);
    }
    covered = entry.end();
    return new TensorInfo(
        entry.name(), entry.dtype(), entry.shape(), file, dataStart + entry.begin(), size);
  }

  /// After the last tensor.
  void end() {
    if (covered != dataSize) {
      throw new FormatException(
          Where.in(path).at(fileOffset(covered)),
          "the end of the file after the last tensor",
          "%,d more bytes that belong to no tensor: fetch this file again"
              .formatted(dataSize - covered));
    }
  }

  private static long byteSize(Entry entry, Where where) {
    long elements;
    try {
      elements = entry.shape().elements();
      Math.multiplyExact(elements, (long) entry.dtype().bits());
    } catch (ArithmeticException _) {
      throw new FormatException(
          where, "a size that fits 64 bits", entry.dtype() + " of shape " + shown(entry));
    }
    DType dtype = entry.dtype();
    if (elements * dtype.bits() % 8 != 0) {
      throw new FormatException(
          where,
          "a whole number of bytes",
          "%,d elements of %s with %d bits each".formatted(elements, dtype, dtype.bits()));
    }
    return dtype.byteSize(elements);
  }

  private static String shown(Entry entry) {
    return Text.printable(entry.shape().toString());
  }

  /// Offsets in a message may be any number the file names; a sum that overflows says nothing.
  private long fileOffset(long dataOffset) {
    return dataOffset > Long.MAX_VALUE - dataStart ? Long.MAX_VALUE : dataStart + dataOffset;
  }
}
