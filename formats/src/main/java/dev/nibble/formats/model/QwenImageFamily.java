package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// Qwen-Image and its editing models: a double-stream transformer, `img_mod` and `txt_mod` in each
/// block. Single files have the same names.
///
/// Source of the names: diffusers 0.40, `transformer_qwenimage.py`. The one table is
/// `addition_t_embedding` of the layered model.
record QwenImageFamily() implements ModelFamily {
  private static final Pattern MODULATION =
      Pattern.compile("transformer_blocks\\.\\d+\\.img_mod\\.1\\.weight");

  @Override
  public String id() {
    return "qwen-image";
  }

  @Override
  public String label() {
    return "Qwen-Image";
  }

  @Override
  public Set<String> diffusersClasses() {
    return Set.of("QwenImageTransformer2DModel");
  }

  @Override
  public Dialect dialect(Set<String> names) {
    return NameRules.has(names, MODULATION) ? Dialect.LIBRARY : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, Set.of("addition_t_embedding"));
  }

  /// Not `img_mod` and `txt_mod`: they hold a third of the parameters, and keeping them costs about
  /// 10 GB; who wants that says `--skip img_mod --skip txt_mod`.
  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("img_in", "entrance of the image"),
        new LayerNote("txt_in", "entrance of the text"),
        new LayerNote("time_text_embed", "time embedding, shared by every block"),
        new LayerNote("norm_out", "modulation of the exit"),
        new LayerNote("proj_out", "exit to the image"));
  }
}
