package dev.nibble.formats;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/// What a file looks like from its first bytes; its name says nothing reliable.
public enum FileKind {
  SAFETENSORS(Optional.empty()),
  /// JSON, such as the index of a sharded checkpoint.
  JSON(Optional.of("a JSON text: name a weights file, its index, or the model's directory")),
  GGUF(
      Optional.of(
          "a GGUF file, where only a safetensors file will do: name it by itself, not as a part of"
              + " a sharded model")),
  ZIP(
      Optional.of(
          "a zip archive, as torch.save writes: save the weights as safetensors, or fetch the"
              + " model's safetensors file")),
  PICKLE(
      Optional.of(
          "a Python pickle, which can run code when opened: save the weights as safetensors, or"
              + " fetch the model's safetensors file")),
  LFS_POINTER(
      Optional.of("a Git LFS pointer instead of the weights: fetch them with `git lfs pull`")),
  HTML(
      Optional.of(
          "a web page instead of the weights: the download went wrong (a login page?); fetch this"
              + " file again")),
  UNKNOWN(Optional.empty());

  private static final long MAX_HEADER = 100_000_000;

  private final Optional<String> foreign;

  FileKind(Optional<String> foreign) {
    this.foreign = foreign;
  }

  /// For a file that is no safetensors file: what it is, and the cure, to go behind "found".
  public Optional<String> foreign() {
    return foreign;
  }

  /// Looks at the beginning of a file.
  ///
  /// @param bytes at least the first 64 bytes of the file, or all there are
  public static FileKind of(MemorySegment bytes) {
    // Tested first: the length of an honest header may spell another format's mark.
    if (startsLikeSafetensors(bytes)) {
      return SAFETENSORS;
    }
    if (startsWith(bytes, "GGUF")) {
      return GGUF;
    }
    if (startsWith(bytes, "PK\3\4")) {
      return ZIP;
    }
    if (bytes.byteSize() >= 2 && at(bytes, 0) == 0x80 && at(bytes, 1) >= 2 && at(bytes, 1) <= 5) {
      return PICKLE;
    }
    if (startsWith(bytes, "version https://git-lfs")) {
      return LFS_POINTER;
    }
    return switch (firstVisible(bytes)) {
      case '{' -> JSON;
      case '<' -> HTML;
      default -> UNKNOWN;
    };
  }

  private static boolean startsLikeSafetensors(MemorySegment bytes) {
    if (bytes.byteSize() < 10) {
      return false;
    }
    long length = bytes.get(LittleEndian.LONG, 0);
    int first = at(bytes, 8);
    return length > 0 && length <= MAX_HEADER && (first == '{' || isSpace(first));
  }

  private static boolean startsWith(MemorySegment bytes, String mark) {
    byte[] wanted = mark.getBytes(StandardCharsets.ISO_8859_1);
    return bytes.byteSize() >= wanted.length
        && bytes.asSlice(0, wanted.length).mismatch(MemorySegment.ofArray(wanted)) == -1;
  }

  private static int firstVisible(MemorySegment bytes) {
    for (long i = 0; i < Math.min(64, bytes.byteSize()); i++) {
      if (!isSpace(at(bytes, i))) {
        return at(bytes, i);
      }
    }
    return -1;
  }

  private static boolean isSpace(int b) {
    return b == ' ' || b == '\t' || b == '\n' || b == '\r';
  }

  private static int at(MemorySegment bytes, long index) {
    return bytes.get(ValueLayout.JAVA_BYTE, index) & 0xFF;
  }
}
