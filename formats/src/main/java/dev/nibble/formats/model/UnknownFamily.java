package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// Any other model: linear layers are guessed by name and shape. A two-dimensional `.weight` is one
/// unless its module is called a norm, is called an embedding and has no bias, or has a dimension
/// of 1 and no bias.
record UnknownFamily() implements ModelFamily {
  private static final Pattern TABLE =
      Pattern.compile(
          "(.*_)?(embed|embeds|emb|embedding|embeddings|embedding_table|embed_tokens|tok_embeddings"
              + "|wte|wpe|shared|relative_attention_bias|token_embedding|position_embedding|tokens?"
              + "|codebook)");

  @Override
  public String id() {
    return "unknown";
  }

  @Override
  public String label() {
    return "unknown model";
  }

  @Override
  public Dialect dialect(Set<String> names) {
    return Dialect.LIBRARY;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    LayerKind kind = NameRules.kind(name, shape, names, Set.of());
    if (kind != LayerKind.LINEAR || names.contains(NameRules.module(name) + NameRules.BIAS)) {
      return kind;
    }
    String leaf = NameRules.leaf(NameRules.module(name));
    if (TABLE.matcher(leaf).matches()) {
      return LayerKind.EMBEDDING;
    }
    if (leaf.contains("norm")) {
      return LayerKind.NORM;
    }
    return shape.dim(0) > 1 && shape.dim(1) > 1 ? LayerKind.LINEAR : LayerKind.PARAMETER;
  }

  @Override
  public List<LayerNote> keptByLoaders() {
    return List.of(new LayerNote("lm_head", "output embedding, often tied to the input one"));
  }

  @Override
  public List<String> listedWithoutTensor() {
    return List.of("lm_head");
  }

  @Override
  public List<LayerNote> sensitive() {
    return List.of();
  }
}
