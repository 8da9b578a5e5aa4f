package dev.nibble.formats;

/// What nibble throws when the input, the wish or the machine is at fault. The message is one line
/// that says what is wrong, where, and what to do about it.
public class NibbleException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public NibbleException(String message) {
    super(message);
  }

  public NibbleException(String message, Throwable cause) {
    super(message, cause);
  }
}
