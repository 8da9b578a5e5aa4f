package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
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
}
