package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// T5 and UMT5, mostly as the text encoders of FLUX, Stable Diffusion 3 and Wan.
///
/// Source of the names: transformers 5.18, `modeling_t5.py`, `modeling_umt5.py`, whose
/// `_keep_in_fp32_modules` is `wo`: in float16 that layer overflows. `relative_attention_bias` is
/// an embedding, in spite of its name.
record T5Family() implements ModelFamily {
  private static final Pattern QUERY =
      Pattern.compile("(encoder|decoder)\\.block\\.\\d+\\.layer\\.0\\.SelfAttention\\.q\\.weight");
  private static final Set<String> TABLES =
      Set.of("shared", "embed_tokens", "relative_attention_bias");

  @Override
  public String id() {
    return "t5";
  }

  @Override
  public String label() {
    return "T5/UMT5 text encoder";
  }

  @Override
  public Dialect dialect(Set<String> names) {
    return NameRules.has(names, QUERY) ? Dialect.LIBRARY : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, TABLES);
  }

  @Override
  public List<LayerNote> keptByLoaders() {
    return List.of(
        new LayerNote("wo", "transformers keeps it in float32: it overflows float16"),
        new LayerNote("lm_head", "output embedding, often tied to the input one"));
  }

  @Override
  public List<String> listedWithoutTensor() {
    return List.of("lm_head");
  }

  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("SelfAttention.v", "small, and every 4-bit GGUF mix gives it more bits"));
  }
}
