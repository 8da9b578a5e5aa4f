package dev.nibble.converter;

import dev.nibble.formats.model.Recognition;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// What `general.architecture` may say of an image model, and what the tools that make GGUF files
/// of that architecture do with its tensors.
///
/// Source: ComfyUI-GGUF, `loader.py` (`IMG_ARCH_LIST`), `tools/convert.py` (detection, high
/// precision, cut rows) and `tools/lcpp.patch` (tensors that are kept). It knows Qwen-Image only as
/// a loader: what is kept there is what published files keep.
///
/// Patterns are parts of names; with `=` before them whole names.
enum GgufArchitecture {
  FLUX(
      List.of(List.of("double_blocks.0.img_attn.proj.weight")),
      // The second half are the names that diffusers has for the same layers.
      List.of(
          "txt_in.",
          "img_in.",
          "time_in.",
          "vector_in.",
          "guidance_in.",
          "final_layer.",
          "x_embedder.",
          "context_embedder.",
          "time_text_embed.",
          "norm_out.",
          "=proj_out.weight")),
  SD3(
      List.of(List.of("joint_blocks.0.x_block.attn.qkv.weight")),
      List.of(
          "final_layer.",
          "time_text_embed.",
          "context_embedder.",
          "t_embedder.",
          "y_embedder.",
          "x_embedder.",
          "=proj_out.weight",
          "=pos_embed")),
  AURA(
      List.of(List.of("double_layers.3.modX.1.weight")),
      List.of(
          "t_embedder.",
          "init_x_linear.",
          "=modF.1.weight",
          "=cond_seq_linear.weight",
          "=final_linear.weight",
          "=positional_encoding",
          "=register_tokens")),
  HIDREAM(
      List.of(
          List.of(
              "caption_projection.0.linear.weight",
              "double_stream_blocks.0.block.ff_i.shared_experts.w3.weight")),
      List.of(
          "p_embedder.",
          "t_embedder.",
          "x_embedder.",
          "final_layer.",
          ".ff_i.gate.weight",
          "caption_projection.")),
  COSMOS(
      List.of(
          List.of("blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_cross_attn.1.weight")),
      List.of(
          "p_embedder.",
          "t_embedder.",
          "t_embedding_norm.",
          "x_embedder.",
          "pos_embedder.",
          "final_layer.")),
  LTXV(
      List.of(
          List.of(
              "adaln_single.emb.timestep_embedder.linear_2.weight",
              "transformer_blocks.27.scale_shift_table",
              "caption_projection.linear_2.weight")),
      List.of(
          "adaln_single.",
          "caption_projection.",
          "patchify_proj.",
          "proj_out.",
          "scale_shift_table")),
  HYVID(
      List.of(
          List.of(
              "double_blocks.0.img_attn_proj.weight",
              "txt_in.individual_token_refiner.blocks.1.self_attn_qkv.weight")),
      List.of("txt_in.", "img_in.", "time_in.", "vector_in.", "guidance_in.", "final_layer.")),
  WAN(
      List.of(
          List.of(
              "blocks.0.self_attn.norm_q.weight", "text_embedding.2.weight", "head.modulation")),
      List.of(
          "modulation.",
          "patch_embedding.",
          "text_embedding.",
          "time_projection.",
          "time_embedding.",
          "img_emb.",
          "head.")),
  SDXL(
      List.of(
          List.of("down_blocks.0.downsamplers.0.conv.weight", "add_embedding.linear_1.weight"),
          List.of(
              "input_blocks.3.0.op.weight",
              "input_blocks.6.0.op.weight",
              "output_blocks.2.2.conv.weight",
              "output_blocks.5.2.conv.weight"),
          List.of("label_emb.0.0.weight")),
      Sd.KEPT),
  SD1(
      List.of(
          List.of("down_blocks.0.downsamplers.0.conv.weight"),
          List.of(
              "input_blocks.3.0.op.weight",
              "input_blocks.6.0.op.weight",
              "input_blocks.9.0.op.weight")),
      Sd.KEPT),
  LUMINA2(
      List.of(List.of("cap_embedder.1.weight", "context_refiner.0.attention.qkv.weight")),
      List.of(
          "t_embedder.",
          "x_embedder.",
          "final_layer.",
          "cap_embedder.",
          "context_refiner.",
          "noise_refiner.")),
  QWEN_IMAGE(
      List.of(List.of("transformer_blocks.0.img_mod.1.weight")),
      List.of("img_in.", "txt_in.", "time_text_embed.", "norm_out.", "=proj_out.weight"));

  /// What both UNets keep.
  private static final class Sd {
    static final List<String> KEPT =
        List.of(
            "class_embedding.",
            "time_embedding.",
            "add_embedding.",
            "time_embed.",
            "label_emb.",
            "conv_in.",
            "conv_out.",
            "=input_blocks.0.0.weight",
            "=out.2.weight");
  }

  /// Parts of names of parameters that must be F32, whatever their size: they are no weights of
  /// layers, so loaders can't widen them.
  private static final List<String> HIGH_PRECISION =
      List.of(
          ".ff_i.gate.weight",
          "img_emb.emb_pos",
          ".modulation",
          "scale_shift_table",
          "pos_embedder");

  private final List<List<String>> marks;
  private final List<String> kept;

  /// @param marks sets of names, each of which gives the architecture away
  GgufArchitecture(List<List<String>> marks, List<String> kept) {
    this.marks = marks;
    this.kept = kept;
  }

  /// The architecture of a model, if ComfyUI-GGUF has a name for it.
  static Optional<GgufArchitecture> of(Recognition model) {
    return switch (model.family().id()) {
      case "z-image" -> Optional.of(LUMINA2);
      case "qwen-image" -> Optional.of(QWEN_IMAGE);
      case "flux" -> Optional.of(FLUX);
      case "sd3" -> Optional.of(SD3);
      case "sd-unet" -> Optional.of(isXl(model.names()) ? SDXL : SD1);
      default -> Arrays.stream(values()).filter(known -> known.isMarked(model.names())).findFirst();
    };
  }

  private static boolean isXl(Set<String> names) {
    return names.contains("label_emb.0.0.weight")
        || names.contains("add_embedding.linear_1.weight");
  }

  private boolean isMarked(Set<String> names) {
    return marks.stream().anyMatch(names::containsAll);
  }

  /// As the file says it.
  String id() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }

  /// Whether tools leave a weight unquantized.
  boolean keeps(String name) {
    return kept.stream()
        .anyMatch(
            part -> part.startsWith("=") ? name.equals(part.substring(1)) : name.contains(part));
  }

  /// Whether a tensor must be F32.
  static boolean isHighPrecision(String name) {
    return HIGH_PRECISION.stream().anyMatch(name::contains);
  }

  /// Whether tensors are cut into rows of 256 elements where their own rows are no multiple of it;
  /// convolutions are then quantized as well.
  boolean cutsRows() {
    return this == SDXL || this == SD1;
  }
}
