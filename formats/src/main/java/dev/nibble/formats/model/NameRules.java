package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.Set;
import java.util.regex.Pattern;

/// What the families have in common: searching names, and the parts of a name.
final class NameRules {
  static final String WEIGHT = ".weight";
  static final String BIAS = ".bias";

  private NameRules() {}

  /// Whether every pattern matches some whole name.
  static boolean has(Set<String> names, Pattern... patterns) {
    for (Pattern pattern : patterns) {
      boolean found = false;
      for (String name : names) {
        if (pattern.matcher(name).matches()) {
          found = true;
          break;
        }
      }
      if (!found) {
        return false;
      }
    }
    return true;
  }

  /// The kind of a tensor in a model whose only tables are named by `embeddings`: leaf names of
  /// modules, such as `embed_tokens`. A module that has a bias is none of them.
  static LayerKind kind(String name, Shape shape, Set<String> names, Set<String> embeddings) {
    if (name.endsWith(BIAS)) {
      return LayerKind.BIAS;
    }
    if (!name.endsWith(WEIGHT) || shape.rank() == 0) {
      return LayerKind.PARAMETER;
    }
    if (shape.rank() == 1) {
      return LayerKind.NORM;
    }
    if (shape.rank() > 2) {
      return LayerKind.CONVOLUTION;
    }
    String module = module(name);
    return embeddings.contains(leaf(module)) && !names.contains(module + BIAS)
        ? LayerKind.EMBEDDING
        : LayerKind.LINEAR;
  }

  /// The name without its `.weight`.
  static String module(String name) {
    return name.substring(0, name.length() - WEIGHT.length());
  }

  /// The last component of a path.
  static String leaf(String path) {
    return path.substring(path.lastIndexOf('.') + 1);
  }
}
