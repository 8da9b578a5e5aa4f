package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// Stable Diffusion 3 and 3.5: joint blocks of image and text.
///
/// Source of the names: diffusers 0.40, `transformer_sd3.py`; detection keys of
/// `single_file_utils.py`. The patch embedding is a convolution, the position table a parameter.
record Sd3Family() implements ModelFamily {
  private static final Pattern CONTEXT =
      Pattern.compile("transformer_blocks\\.\\d+\\.norm1_context\\.linear\\.weight");
  private static final Pattern PATCHES = Pattern.compile("pos_embed\\.proj\\.weight");
  private static final Pattern ORIGINAL =
      Pattern.compile("joint_blocks\\.\\d+\\.context_block\\.adaLN_modulation\\.1\\.weight");

  @Override
  public String id() {
    return "sd3";
  }

  @Override
  public String label() {
    return "Stable Diffusion 3";
  }

  @Override
  public Set<String> diffusersClasses() {
    return Set.of("SD3Transformer2DModel");
  }

  @Override
  public Dialect dialect(Set<String> names) {
    if (NameRules.has(names, CONTEXT, PATCHES)) {
      return Dialect.LIBRARY;
    }
    return NameRules.has(names, ORIGINAL) ? Dialect.ORIGINAL : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, Set.of());
  }

  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("x_embedder", "entrance of the image"),
        new LayerNote("context_embedder", "entrance of the text"),
        new LayerNote("time_text_embed", "time and pooled text, shared by every block"),
        new LayerNote("t_embedder", "time embedding, shared by every block"),
        new LayerNote("y_embedder", "pooled text, shared by every block"),
        new LayerNote("norm_out", "modulation of the exit"),
        new LayerNote("proj_out", "exit to the image"),
        new LayerNote("final_layer", "exit to the image"));
  }
}
