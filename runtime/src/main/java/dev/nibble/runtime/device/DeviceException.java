package dev.nibble.runtime.device;

import dev.nibble.formats.NibbleException;

/// A device is missing, doesn't fit, or failed. The message is one line: what, where, cure.
public class DeviceException extends NibbleException {
  private static final long serialVersionUID = 1L;

  public DeviceException(String message) {
    super(message);
  }

  public DeviceException(String message, Throwable cause) {
    super(message, cause);
  }
}
