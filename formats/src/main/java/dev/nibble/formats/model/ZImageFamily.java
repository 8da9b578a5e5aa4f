package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Pattern;

/// Z-Image: a single-stream transformer with refiner blocks for image and text.
///
/// Source of the names: diffusers 0.40, `transformer_z_image.py` and
/// `convert_z_image_transformer_checkpoint_to_diffusers`. Every two-dimensional weight is a linear
/// layer; pad tokens are bare parameters.
record ZImageFamily() implements ModelFamily {
  private static final Pattern MODULATION =
      Pattern.compile("layers\\.\\d+\\.adaLN_modulation\\.0\\.weight");
  private static final Pattern QUERY =
      Pattern.compile("(layers|\\w+_refiner)\\.\\d+\\.attention\\.to_q\\.weight");
  private static final Pattern FUSED =
      Pattern.compile("(layers|\\w+_refiner)\\.\\d+\\.attention\\.qkv\\.weight");

  private static final Pattern BLOCK = Pattern.compile("(layers|\\w+_refiner)\\.\\d+\\.");
  private static final Pattern FINAL_LAYER = Pattern.compile("all_final_layer\\.[\\d-]+\\.");

  @Override
  public String id() {
    return "z-image";
  }

  @Override
  public String label() {
    return "Z-Image";
  }

  @Override
  public Set<String> diffusersClasses() {
    return Set.of("ZImageTransformer2DModel");
  }

  @Override
  public Dialect dialect(Set<String> names) {
    if (!NameRules.has(names, MODULATION)) {
      return Dialect.NONE;
    }
    if (NameRules.has(names, QUERY)) {
      return Dialect.LIBRARY;
    }
    return NameRules.has(names, FUSED) ? Dialect.ORIGINAL : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, Set.of());
  }

  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("t_embedder", "time embedding, shared by every block"),
        new LayerNote("cap_embedder", "entrance of the text"),
        new LayerNote("all_x_embedder", "entrance of the image"),
        new LayerNote("x_embedder", "entrance of the image"),
        new LayerNote("all_final_layer", "exit to the image"),
        new LayerNote("final_layer", "exit to the image"),
        new LayerNote("adaLN_modulation", "scales and gates of whole blocks"),
        new LayerNote("noise_refiner", "first blocks of the image"),
        new LayerNote("context_refiner", "first blocks of the text"));
  }

  /// What those who serve it in FP8 leave alone (vllm-omni, nunchaku): with 8 bits everywhere it
  /// draws noise.
  @Override
  public List<LayerNote> sixteenBitInputs() {
    return sensitive().stream().filter(note -> !note.pattern().endsWith("_refiner")).toList();
  }

  /// The modulation of a block is `1 + scale` after the norm, without shift, so the norm's weight
  /// can take any scale of its features.
  @Override
  public List<Fold> folds(Map<String, Shape> tensors) {
    FoldFinder finder = new FoldFinder(tensors);
    for (String block : finder.prefixes(BLOCK, "attention.to_q.weight")) {
      finder.norm(block, "attention_norm1", "attention.to_q", "attention.to_k", "attention.to_v");
      finder.rows(block, List.of("attention.to_v"), List.of("attention.to_out.0"));
      finder.norm(block, "ffn_norm1", "feed_forward.w1", "feed_forward.w3");
      finder.rows(block, List.of("feed_forward.w3"), List.of("feed_forward.w2"));
    }
    finder.norm("cap_embedder.", "0", "1");
    for (String last : finder.prefixes(FINAL_LAYER, "linear.weight")) {
      finder.modulation(last, "adaLN_modulation.1", 1, 0, OptionalInt.empty(), "linear");
    }
    return finder.folds();
  }

  @Override
  public List<LayerNote> unfoldable() {
    return List.of(
        new LayerNote("x_embedder", "takes the picture itself"),
        new LayerNote("all_x_embedder", "takes the picture itself"),
        new LayerNote("t_embedder", "takes the time, or its SiLU"),
        new LayerNote("adaLN_modulation", "takes the time, which every block shares"));
  }
}
