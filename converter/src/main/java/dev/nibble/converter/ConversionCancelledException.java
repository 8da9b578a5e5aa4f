package dev.nibble.converter;

import dev.nibble.formats.NibbleException;

/// The conversion was cancelled by its {@link Cancellation}; nothing is left of it.
public final class ConversionCancelledException extends NibbleException {
  private static final long serialVersionUID = 1L;

  public ConversionCancelledException() {
    super("cancelled");
  }
}
