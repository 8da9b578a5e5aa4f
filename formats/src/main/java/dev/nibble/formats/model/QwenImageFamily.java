package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
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

  private static final Pattern BLOCK = Pattern.compile("transformer_blocks\\.\\d+\\.");

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

  /// A modulation takes one token, so that 8 bits would gain nothing, and scales whole blocks.
  @Override
  public List<LayerNote> sixteenBitInputs() {
    List<LayerNote> notes = new ArrayList<>(sensitive());
    notes.add(new LayerNote("img_mod", "scales and gates of whole blocks"));
    notes.add(new LayerNote("txt_mod", "scales and gates of whole blocks"));
    return List.copyOf(notes);
  }

  /// Each stream's modulation is six chunks: shift, scale and gate of the attention, then of the
  /// feed-forward; that of the exit is scale and shift. The attention mixes the values of both
  /// streams, so that their outputs share a scale.
  @Override
  public List<Fold> folds(Map<String, Shape> tensors) {
    FoldFinder finder = new FoldFinder(tensors);
    for (String block : finder.prefixes(BLOCK, "attn.to_q.weight")) {
      OptionalInt first = OptionalInt.of(0);
      OptionalInt second = OptionalInt.of(3);
      finder.modulation(block, "img_mod.1", 6, 1, first, "attn.to_q", "attn.to_k", "attn.to_v");
      finder.modulation(
          block, "txt_mod.1", 6, 1, first, "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj");
      finder.rows(
          block,
          List.of("attn.to_v", "attn.add_v_proj"),
          List.of("attn.to_out.0", "attn.to_add_out"));
      finder.modulation(block, "img_mod.1", 6, 4, second, "img_mlp.net.0.proj");
      finder.modulation(block, "txt_mod.1", 6, 4, second, "txt_mlp.net.0.proj");
    }
    finder.norm("", "txt_norm", "txt_in");
    finder.modulation("", "norm_out.linear", 2, 0, OptionalInt.of(1), "proj_out");
    return finder.folds();
  }

  @Override
  public List<LayerNote> unfoldable() {
    return List.of(
        new LayerNote("img_in", "takes the picture itself"),
        new LayerNote("time_text_embed", "takes the time, or its SiLU"),
        new LayerNote("img_mod", "takes the time, which every block shares"),
        new LayerNote("txt_mod", "takes the time, which every block shares"),
        new LayerNote("norm_out.linear", "takes the time, which every block shares"),
        new LayerNote("img_mlp.net.2", "comes out of a GELU, which is not linear"),
        new LayerNote("txt_mlp.net.2", "comes out of a GELU, which is not linear"));
  }
}
