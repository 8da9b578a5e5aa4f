package dev.nibble.formats.safetensors;

/// A U8 vector to be written, whose length is known only when the data has been seen, such as
/// bitsandbytes' `quant_state`.
///
/// @param name its full name
/// @param maxBytes an upper bound of its length
public record LateTensor(String name, int maxBytes) {
  public LateTensor {
    if (maxBytes < 0) {
      throw new IllegalArgumentException(name + ": negative bound " + maxBytes);
    }
  }
}
