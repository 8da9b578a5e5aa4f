package dev.nibble.formats.quant.ggml;

/// The codec of each quantized type.
public final class GgmlCodecs {
  private GgmlCodecs() {}

  /// The codec of a type.
  ///
  /// @throws IllegalArgumentException unless {@link GgmlType#isQuantized()}
  public static GgmlCodec of(GgmlType type) {
    if (!type.isQuantized()) {
      throw new IllegalArgumentException(type + " is not quantized");
    }
    throw new UnsupportedOperationException("no codec of " + type);
  }
}
