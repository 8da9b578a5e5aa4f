package dev.nibble.formats.gguf;

import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// Reads the header of a GGUF file from front to back, and never past its end.
final class GgufCursor {
  static final String INCOMPLETE = ": the download is incomplete; fetch this file again";

  /// As long as a safetensors header may be.
  private static final long LONGEST_HEADER = 100_000_000;

  private final Path path;
  private final MemorySegment bytes;
  private long position;

  GgufCursor(Path path, MemorySegment bytes) {
    this.path = path;
    this.bytes = bytes;
  }

  long position() {
    return position;
  }

  /// Bytes that may follow.
  long remaining() {
    return Math.min(bytes.byteSize(), LONGEST_HEADER) - position;
  }

  FormatException fault(long at, String expected, String found) {
    return new FormatException(where(at), expected, found);
  }

  /// Steps over that many bytes and returns where they begin.
  long skip(long size, String what) {
    if (size > remaining()) {
      throw bytes.byteSize() - position < size
          ? fault(
              position,
              what + " of " + Long.toUnsignedString(size) + " bytes",
              "the end of the file, %,d bytes long".formatted(bytes.byteSize()) + INCOMPLETE)
          : fault(
              position,
              "a header of at most %,d bytes".formatted(LONGEST_HEADER),
              "a longer one: this file is damaged; fetch it again");
    }
    long at = position;
    position += size;
    return at;
  }

  int int8(String what) {
    return bytes.get(ValueLayout.JAVA_BYTE, skip(1, what));
  }

  int int16(String what) {
    return bytes.get(LittleEndian.SHORT, skip(2, what));
  }

  int int32(String what) {
    return bytes.get(LittleEndian.INT, skip(4, what));
  }

  long int64(String what) {
    return bytes.get(LittleEndian.LONG, skip(8, what));
  }

  float float32(String what) {
    return bytes.get(LittleEndian.FLOAT, skip(4, what));
  }

  double float64(String what) {
    return bytes.get(LittleEndian.DOUBLE, skip(8, what));
  }

  Where where(long at) {
    return Where.in(path).at(at);
  }

  /// A string that must be UTF-8, with its length before it: a key or a name.
  String name(String what) {
    return name(what, length(what));
  }

  /// A string of that many bytes, which must be UTF-8.
  String name(String what, long size) {
    long start = position;
    ByteBuffer raw = bytes.asSlice(skip(size, what), size).asByteBuffer();
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT)
          .decode(raw)
          .toString();
    } catch (CharacterCodingException _) {
      throw fault(start, what + " in UTF-8", "other bytes: this file is damaged; fetch it again");
    }
  }

  /// A string value, in which what is not UTF-8 becomes U+FFFD: it is only shown.
  String text(String what) {
    long size = length(what);
    ByteBuffer raw = bytes.asSlice(skip(size, what), size).asByteBuffer();
    return StandardCharsets.UTF_8.decode(raw).toString();
  }

  private long length(String what) {
    long size = int64(what + "'s length");
    if (size < 0) {
      throw fault(position - 8, what, "a length of " + Long.toUnsignedString(size));
    }
    return size;
  }
}
