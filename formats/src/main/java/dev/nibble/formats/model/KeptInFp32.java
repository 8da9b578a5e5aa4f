package dev.nibble.formats.model;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// The modules that diffusers and transformers add to every skip list by themselves, by class: the
/// attribute `_keep_in_fp32_modules`. They must be float in a file, whatever its configuration
/// says.
///
/// Sources: diffusers 0.40 `models/**`, transformers 5.18 `models/{t5,umt5,mt5,udop}`; classes
/// without linear layers under those names included, since the names join the list anyway.
public final class KeptInFp32 {
  private static final List<String> WAN =
      List.of("time_embedder", "scale_shift_table", "norm1", "norm2", "norm3");

  private static final Map<String, List<String>> DIFFUSERS =
      Map.ofEntries(
          Map.entry("WanTransformer3DModel", with(WAN, "rope")),
          Map.entry("WanVACETransformer3DModel", with(WAN, "rope")),
          Map.entry("WanAnimateTransformer3DModel", with(WAN, "motion_synthesis_weight", "rope")),
          Map.entry(
              "WanAnimate2Transformer3DModel",
              List.of(
                  "time_embedding",
                  "time_projection",
                  "scale_shift_table",
                  "norm1",
                  "norm2",
                  "norm3",
                  "modulation")),
          Map.entry("SkyReelsV2Transformer3DModel", WAN),
          Map.entry("ChronoEditTransformer3DModel", WAN),
          Map.entry("AnyFlowTransformer3DModel", WAN),
          Map.entry("AnyFlowFARTransformer3DModel", WAN),
          Map.entry("HeliosTransformer3DModel", with(WAN, "history_key_scale")),
          Map.entry(
              "JoyImageEditTransformer3DModel",
              List.of("time_embedder", "norm1", "norm2", "norm_out")),
          Map.entry(
              "JoyImageEditPlusTransformer3DModel",
              List.of("time_embedder", "norm1", "norm2", "norm_out")),
          Map.entry(
              "MiniMaxH3Transformer3DModel",
              List.of(
                  "proj_in",
                  "audio_proj_in",
                  "time_embedder",
                  "proj_out",
                  "audio_proj_out",
                  "rope")),
          Map.entry(
              "Krea2Transformer2DModel", List.of("norm", "norm1", "norm2", "norm_q", "norm_k")),
          Map.entry("CosmosTransformer3DModel", List.of("learnable_pos_embed")),
          Map.entry("CosmosControlNetModel", List.of("learnable_pos_embed")),
          Map.entry("Cosmos3OmniTransformer", List.of("time_embedder")),
          Map.entry(
              "Kandinsky5Transformer3DModel",
              List.of("time_embeddings", "modulation", "visual_modulation", "text_modulation")),
          Map.entry(
              "AutoencoderKLMiniMaxH3Audio",
              List.of("encoder", "decoder", "pre_block", "dec_in_proj", "mean_proj", "logs_proj")),
          Map.entry(
              "AutoencoderKLMiniMaxH3",
              List.of("encoder", "decoder", "quant_conv", "post_quant_conv")));

  private KeptInFp32() {}

  /// The names that the loader of a class adds to the skip list; empty for most.
  public static List<String> of(String className) {
    if (className.matches("(UM|M)?T5.*|Udop.*")) {
      return List.of("wo");
    }
    return DIFFUSERS.getOrDefault(className, List.of());
  }

  private static List<String> with(List<String> names, String... more) {
    return Stream.concat(names.stream(), Arrays.stream(more)).toList();
  }
}
