package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// DiT: the class-conditional transformer of Peebles and Xie.
///
/// Source of the names: diffusers 0.40, `dit_transformer_2d.py`, where each block has its own time
/// and class embedding; facebookresearch/DiT `models.py` for the original ones. The class table
/// (`embedding_table`) is no linear layer.
record DitFamily() implements ModelFamily {
  private static final Pattern CLASSES =
      Pattern.compile(
          "transformer_blocks\\.\\d+\\.norm1\\.emb\\.class_embedder\\.embedding_table\\.weight");
  private static final Pattern ORIGINAL = Pattern.compile("y_embedder\\.embedding_table\\.weight");
  private static final Pattern ORIGINAL_BLOCK =
      Pattern.compile("blocks\\.\\d+\\.adaLN_modulation\\.1\\.weight");

  @Override
  public String id() {
    return "dit";
  }

  @Override
  public String label() {
    return "DiT";
  }

  @Override
  public Set<String> diffusersClasses() {
    return Set.of("DiTTransformer2DModel");
  }

  @Override
  public Dialect dialect(Set<String> names) {
    if (NameRules.has(names, CLASSES)) {
      return Dialect.LIBRARY;
    }
    return NameRules.has(names, ORIGINAL, ORIGINAL_BLOCK) ? Dialect.ORIGINAL : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, Set.of("embedding_table"));
  }

  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("timestep_embedder", "time embedding of the modulation"),
        new LayerNote("t_embedder", "time embedding, shared by every block"),
        new LayerNote("proj_out_1", "modulation of the exit"),
        new LayerNote("proj_out_2", "exit to the image"),
        new LayerNote("final_layer", "exit to the image"));
  }
}
