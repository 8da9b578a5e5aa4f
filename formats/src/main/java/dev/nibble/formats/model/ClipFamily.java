package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// CLIP text encoders, with and without projection.
///
/// Source of the names: transformers, `modeling_clip.py`. Files and transformers 4 say
/// `text_model.encoder...`; `CLIPTextModel` of transformers 5.18 says `encoder...`. The projection
/// is the last module, which transformers leaves in float.
record ClipFamily() implements ModelFamily {
  private static final String NEST = "text_model.";
  private static final Pattern QUERY =
      Pattern.compile("(text_model\\.)?encoder\\.layers\\.\\d+\\.self_attn\\.q_proj\\.weight");
  private static final Pattern TOKENS =
      Pattern.compile("(text_model\\.)?embeddings\\.token_embedding\\.weight");
  private static final Set<String> TABLES = Set.of("token_embedding", "position_embedding");

  @Override
  public String id() {
    return "clip";
  }

  @Override
  public String label() {
    return "CLIP text encoder";
  }

  @Override
  public Dialect dialect(Set<String> names) {
    return NameRules.has(names, QUERY, TOKENS) ? Dialect.LIBRARY : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, TABLES);
  }

  @Override
  public List<LayerNote> keptByLoaders() {
    return List.of(new LayerNote("text_projection", "the last module, which transformers keeps"));
  }

  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("self_attn.v_proj", "small, and every 4-bit GGUF mix gives it more bits"));
  }

  @Override
  public List<Spelling> spellings(Set<String> names) {
    return List.of(
        Spelling.AS_IN_FILE,
        module -> module.startsWith(NEST) ? module.substring(NEST.length()) : module,
        module -> module.startsWith("encoder.") ? NEST + module : module);
  }
}
