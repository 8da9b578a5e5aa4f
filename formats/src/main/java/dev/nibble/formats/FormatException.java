package dev.nibble.formats;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;

/// A file that breaks the rules of its format.
public final class FormatException extends NibbleException {
  private static final long serialVersionUID = 1L;

  private final transient Where where;

  /// Where in a file a fault lies.
  ///
  /// @param file the file
  /// @param tensor the tensor it concerns, if one
  /// @param offset the byte from the start of the file, if known
  public record Where(Path file, Optional<String> tensor, OptionalLong offset) {
    public static Where in(Path file) {
      return new Where(file, Optional.empty(), OptionalLong.empty());
    }

    public Where tensor(String name) {
      return new Where(file, Optional.of(name), offset);
    }

    public Where at(long byteOffset) {
      return new Where(file, tensor, OptionalLong.of(byteOffset));
    }

    @Override
    public String toString() {
      return file
          + tensor.map(name -> ": tensor '" + Text.printable(name) + "'").orElse("")
          + (offset.isPresent() ? " at byte " + offset.getAsLong() : "");
    }
  }

  /// @param where place of the fault
  /// @param expected what the format asks for
  /// @param found what the file has
  public FormatException(Where where, String expected, String found) {
    super(where + ": expected " + expected + ", found " + found);
    this.where = where;
  }

  public Where where() {
    return where;
  }
}
