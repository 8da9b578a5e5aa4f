package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// FLUX.1 and models with its blocks (Chroma): double-stream blocks, then single-stream blocks.
///
/// Source of the names: diffusers 0.40, `transformer_flux.py` and
/// `convert_flux_transformer_checkpoint_to_diffusers`. Every two-dimensional weight is a linear
/// layer in both dialects.
record FluxFamily() implements ModelFamily {
  private static final Pattern SINGLE =
      Pattern.compile("single_transformer_blocks\\.\\d+\\.proj_mlp\\.weight");
  private static final Pattern ORIGINAL =
      Pattern.compile("double_blocks\\.\\d+\\.img_attn\\.norm\\.key_norm\\.(scale|weight)");

  @Override
  public String id() {
    return "flux";
  }

  @Override
  public String label() {
    return "FLUX";
  }

  @Override
  public Set<String> diffusersClasses() {
    return Set.of("FluxTransformer2DModel");
  }

  @Override
  public Dialect dialect(Set<String> names) {
    if (NameRules.has(names, SINGLE)) {
      return Dialect.LIBRARY;
    }
    return NameRules.has(names, ORIGINAL) ? Dialect.ORIGINAL : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, Set.of());
  }

  /// Not the top-level `proj_out` of the diffusers names: in a skip list it exempts every
  /// `single_transformer_blocks.N.proj_out` too, a quarter of the model.
  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("x_embedder", "entrance of the image"),
        new LayerNote("img_in", "entrance of the image"),
        new LayerNote("context_embedder", "entrance of the text"),
        new LayerNote("txt_in", "entrance of the text"),
        new LayerNote("time_text_embed", "time, guidance and pooled text, shared by every block"),
        new LayerNote("time_in", "time embedding, shared by every block"),
        new LayerNote("vector_in", "pooled text, shared by every block"),
        new LayerNote("guidance_in", "guidance embedding, shared by every block"),
        new LayerNote("norm_out", "modulation of the exit"),
        new LayerNote("final_layer", "exit to the image"));
  }
}
