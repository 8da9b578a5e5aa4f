package dev.nibble.converter;

import dev.nibble.formats.DType;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/// The mixes of types that people know GGUF files by: one type for most weights, better ones for
/// the weights that lose most. For image models these are the rules of ComfyUI-GGUF's patch of
/// llama.cpp (`tools/lcpp.patch`, `img_tensor_get_type`); the other types have no such rule. Three
/// are no quantization but what its `convert.py` makes of a checkpoint before it is quantized: F32,
/// F16 and BF16.
///
/// The number is `general.file_type`, llama.cpp's `llama_ftype`.
public enum GgufMix {
  F32(0, GgmlType.F32),
  F16(1, GgmlType.F16),
  BF16(32, GgmlType.BF16),
  Q4_0(2, GgmlType.Q4_0),
  Q4_1(3, GgmlType.Q4_1),
  Q8_0(7, GgmlType.Q8_0),
  Q5_0(8, GgmlType.Q5_0),
  Q5_1(9, GgmlType.Q5_1),
  Q2_K(10, GgmlType.Q2_K),
  Q3_K_S(11, GgmlType.Q3_K),
  Q3_K_M(12, GgmlType.Q3_K),
  Q3_K_L(13, GgmlType.Q3_K),
  Q4_K_S(14, GgmlType.Q4_K),
  Q4_K_M(15, GgmlType.Q4_K),
  Q5_K_S(16, GgmlType.Q5_K),
  Q5_K_M(17, GgmlType.Q5_K),
  Q6_K(18, GgmlType.Q6_K),
  IQ4_NL(25, GgmlType.IQ4_NL),
  IQ4_XS(30, GgmlType.IQ4_XS),
  MXFP4(38, GgmlType.MXFP4);

  private final int fileType;
  private final GgmlType base;

  GgufMix(int fileType, GgmlType base) {
    this.fileType = fileType;
    this.base = base;
  }

  /// What a weight is in its block, as far as mixes care; seen in its name.
  enum Role {
    ATTENTION_VALUE,
    FUSED_ATTENTION,
    FEED_FORWARD_DOWN,
    OTHER;

    private static final List<String> VALUE =
        List.of(
            "attn_v.weight",
            ".to_v.weight",
            ".v.weight",
            ".attn.w1v.weight",
            ".attn.w2v.weight",
            "_attn.v_proj.weight");
    private static final List<String> FUSED =
        List.of("attn_qkv.weight", "attn.qkv.weight", "attention.qkv.weight");
    private static final List<String> DOWN =
        List.of(
            "ffn_down",
            ".ffn.2.weight",
            ".ff.net.2.weight",
            ".mlp.layer2.weight",
            ".adaln_modulation_mlp.2.weight",
            ".feed_forward.w2.weight");

    static Role of(String name) {
      if (VALUE.stream().anyMatch(name::contains)) {
        return ATTENTION_VALUE;
      }
      if (FUSED.stream().anyMatch(name::contains)) {
        return FUSED_ATTENTION;
      }
      boolean expert = name.contains("experts.") && name.contains(".w2.weight");
      return expert || DOWN.stream().anyMatch(name::contains) ? FEED_FORWARD_DOWN : OTHER;
    }
  }

  /// `general.file_type`.
  public int fileType() {
    return fileType;
  }

  /// The type of every weight of a linear layer, where none is quantized.
  public Optional<DType> plain() {
    return base.plain();
  }

  /// The type of most weights.
  public GgmlType base() {
    return base;
  }

  /// The type of a weight.
  ///
  /// @param values how many attention values come before it, by name
  GgmlType type(Role role, int values) {
    return switch (role) {
      case ATTENTION_VALUE ->
          switch (this) {
            case Q2_K -> GgmlType.Q3_K;
            case Q3_K_M -> values < 2 ? GgmlType.Q5_K : GgmlType.Q4_K;
            case Q3_K_L -> GgmlType.Q5_K;
            case Q4_K_S -> values < 4 ? GgmlType.Q5_K : base;
            case Q4_K_M, Q5_K_M -> GgmlType.Q6_K;
            case Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q3_K_S, Q5_K_S, Q6_K, IQ4_NL, IQ4_XS, MXFP4 -> base;
            case F32, F16, BF16 -> base;
          };
      case FUSED_ATTENTION ->
          switch (this) {
            case Q3_K_M, Q3_K_L -> GgmlType.Q4_K;
            case Q4_K_M -> GgmlType.Q5_K;
            case Q5_K_M -> GgmlType.Q6_K;
            case Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K_S, Q4_K_S, Q5_K_S, Q6_K -> base;
            case IQ4_NL, IQ4_XS, MXFP4, F32, F16, BF16 -> base;
          };
      case FEED_FORWARD_DOWN ->
          switch (this) {
            case Q3_K_M -> GgmlType.Q4_K;
            case Q3_K_L, Q4_K_S -> GgmlType.Q5_K;
            case Q4_K_M, Q5_K_M -> GgmlType.Q6_K;
            case Q4_0 -> GgmlType.Q4_1;
            case Q5_0 -> GgmlType.Q5_1;
            case Q4_1, Q5_1, Q8_0, Q2_K, Q3_K_S, Q5_K_S, Q6_K, IQ4_NL, IQ4_XS, MXFP4 -> base;
            case F32, F16, BF16 -> base;
          };
      case OTHER -> base;
    };
  }

  /// The mix of that name, upper or lower case; as in llama.cpp `Q4_K` is `Q4_K_M`, and so on.
  public static Optional<GgufMix> named(String name) {
    String upper = name.toUpperCase(Locale.ROOT);
    return switch (upper) {
      case "Q3_K" -> Optional.of(Q3_K_M);
      case "Q4_K" -> Optional.of(Q4_K_M);
      case "Q5_K" -> Optional.of(Q5_K_M);
      default -> Arrays.stream(values()).filter(mix -> mix.name().equals(upper)).findFirst();
    };
  }

  /// The mix that comes nearest to one type for all.
  static GgufMix of(GgmlType type) {
    return Arrays.stream(values())
        .filter(mix -> mix.base == type)
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException(type + " is not quantized"));
  }

  /// All names, for a message.
  public static String names() {
    return Arrays.stream(values()).map(GgufMix::name).collect(Collectors.joining(", "));
  }
}
