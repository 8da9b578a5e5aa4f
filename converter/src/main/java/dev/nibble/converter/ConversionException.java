package dev.nibble.converter;

import dev.nibble.formats.NibbleException;

/// A checkpoint, or a wish about one, that can't be converted.
public final class ConversionException extends NibbleException {
  private static final long serialVersionUID = 1L;

  public ConversionException(String message) {
    super(message);
  }

  public ConversionException(String message, Throwable cause) {
    super(message, cause);
  }
}
