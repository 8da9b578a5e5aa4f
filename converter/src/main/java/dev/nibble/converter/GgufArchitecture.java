package dev.nibble.converter;

import dev.nibble.formats.model.Recognition;
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
/// @param id as the file says it
/// @param mark names that together give the architecture away, for models that nibble has no family
///   of
/// @param kept parts of names of weights that are not quantized; with `=` before them whole names
/// @param cutsRows whether tensors are cut into rows of 256 elements where their own rows are no
///   multiple of it; convolutions are then quantized as well
record GgufArchitecture(String id, Set<String> mark, List<String> kept, boolean cutsRows) {
  private static final GgufArchitecture FLUX =
      known(
          "flux",
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
              "=proj_out.weight"));

  private static final GgufArchitecture SD3 =
      known(
          "sd3",
          List.of(
              "final_layer.",
              "time_text_embed.",
              "context_embedder.",
              "t_embedder.",
              "y_embedder.",
              "x_embedder.",
              "=proj_out.weight",
              "=pos_embed"));

  private static final GgufArchitecture LUMINA2 =
      known(
          "lumina2",
          List.of(
              "t_embedder.",
              "x_embedder.",
              "final_layer.",
              "cap_embedder.",
              "context_refiner.",
              "noise_refiner."));

  private static final GgufArchitecture QWEN_IMAGE =
      known(
          "qwen_image",
          List.of("img_in.", "txt_in.", "time_text_embed.", "norm_out.", "=proj_out.weight"));

  private static final List<String> UNET_KEPT =
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

  private static final GgufArchitecture SD1 =
      new GgufArchitecture("sd1", Set.of(), UNET_KEPT, true);
  private static final GgufArchitecture SDXL =
      new GgufArchitecture("sdxl", Set.of(), UNET_KEPT, true);

  /// Of models that nibble has no family of.
  private static final List<GgufArchitecture> BY_MARK =
      List.of(
          new GgufArchitecture(
              "aura",
              Set.of("double_layers.3.modX.1.weight"),
              List.of(
                  "t_embedder.",
                  "init_x_linear.",
                  "=modF.1.weight",
                  "=cond_seq_linear.weight",
                  "=final_linear.weight",
                  "=positional_encoding",
                  "=register_tokens"),
              false),
          new GgufArchitecture(
              "hidream",
              Set.of(
                  "caption_projection.0.linear.weight",
                  "double_stream_blocks.0.block.ff_i.shared_experts.w3.weight"),
              List.of(
                  "p_embedder.",
                  "t_embedder.",
                  "x_embedder.",
                  "final_layer.",
                  ".ff_i.gate.weight",
                  "caption_projection."),
              false),
          new GgufArchitecture(
              "cosmos",
              Set.of("blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_cross_attn.1.weight"),
              List.of(
                  "p_embedder.",
                  "t_embedder.",
                  "t_embedding_norm.",
                  "x_embedder.",
                  "pos_embedder.",
                  "final_layer."),
              false),
          new GgufArchitecture(
              "ltxv",
              Set.of(
                  "adaln_single.emb.timestep_embedder.linear_2.weight",
                  "transformer_blocks.27.scale_shift_table",
                  "caption_projection.linear_2.weight"),
              List.of(
                  "adaln_single.",
                  "caption_projection.",
                  "patchify_proj.",
                  "proj_out.",
                  "scale_shift_table"),
              false),
          new GgufArchitecture(
              "hyvid",
              Set.of(
                  "double_blocks.0.img_attn_proj.weight",
                  "txt_in.individual_token_refiner.blocks.1.self_attn_qkv.weight"),
              List.of(
                  "txt_in.", "img_in.", "time_in.", "vector_in.", "guidance_in.", "final_layer."),
              false),
          new GgufArchitecture(
              "wan",
              Set.of(
                  "blocks.0.self_attn.norm_q.weight", "text_embedding.2.weight", "head.modulation"),
              List.of(
                  "modulation.",
                  "patch_embedding.",
                  "text_embedding.",
                  "time_projection.",
                  "time_embedding.",
                  "img_emb.",
                  "head."),
              false));

  /// Parts of names of parameters that are F32 whatever their size: they belong to no layer, so
  /// loaders can't widen them.
  private static final List<String> HIGH_PRECISION =
      List.of(
          ".ff_i.gate.weight",
          "img_emb.emb_pos",
          ".modulation",
          "scale_shift_table",
          "pos_embedder");

  GgufArchitecture {
    mark = Set.copyOf(mark);
    kept = List.copyOf(kept);
  }

  private static GgufArchitecture known(String id, List<String> kept) {
    return new GgufArchitecture(id, Set.of(), kept, false);
  }

  /// The architecture of a model, if ComfyUI-GGUF has a name for it.
  static Optional<GgufArchitecture> of(Recognition model) {
    return switch (model.family().id()) {
      case "z-image" -> Optional.of(LUMINA2);
      case "qwen-image" -> Optional.of(QWEN_IMAGE);
      case "flux" -> Optional.of(FLUX);
      case "sd3" -> Optional.of(SD3);
      case "sd-unet" -> Optional.of(isXl(model.names()) ? SDXL : SD1);
      default ->
          BY_MARK.stream().filter(known -> model.names().containsAll(known.mark())).findFirst();
    };
  }

  private static boolean isXl(Set<String> names) {
    return names.contains("label_emb.0.0.weight")
        || names.contains("add_embedding.linear_1.weight");
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
}
