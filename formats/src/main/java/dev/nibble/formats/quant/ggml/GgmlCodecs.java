package dev.nibble.formats.quant.ggml;

/// The codec of each quantized type.
public final class GgmlCodecs {
  private GgmlCodecs() {}

  /// The codec of a type.
  ///
  /// @throws IllegalArgumentException unless {@link GgmlType#isQuantized()}
  public static GgmlCodec of(GgmlType type) {
    return switch (type) {
      case Q4_0 -> new Q40Codec();
      case Q4_1 -> new Q41Codec();
      case Q5_0 -> new Q50Codec();
      case Q5_1 -> new Q51Codec();
      case Q8_0 -> new Q80Codec();
      case Q2_K -> new Q2KCodec();
      case Q3_K -> new Q3KCodec();
      case Q4_K -> new Q4KCodec();
      case Q5_K -> new Q5KCodec();
      case Q6_K -> new Q6KCodec();
      case IQ4_NL -> new Iq4NlCodec();
      case IQ4_XS -> new Iq4XsCodec();
      case MXFP4 -> new Mxfp4Codec();
      case F32, F16, BF16, F64, I8, I16, I32, I64 ->
          throw new IllegalArgumentException(type + " is not quantized");
    };
  }
}
