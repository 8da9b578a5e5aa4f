package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import dev.nibble.formats.model.ModelFamily.Dialect;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/// A checkpoint's family, seen in its names.
///
/// @param family the family
/// @param prefix what every name of the model begins with in this file: `model.diffusion_model.` in
///   a bundle, else empty
/// @param dialect whose names they are
/// @param names the names of the model, prefix taken off
public record Recognition(ModelFamily family, String prefix, Dialect dialect, Set<String> names) {
  public Recognition {
    names = Set.copyOf(names);
  }

  static Recognition of(ModelFamily family, String prefix, Set<String> names) {
    Set<String> own =
        prefix.isEmpty()
            ? names
            : names.stream()
                .filter(name -> name.startsWith(prefix))
                .map(name -> name.substring(prefix.length()))
                .collect(Collectors.toUnmodifiableSet());
    return new Recognition(family, prefix, family.dialect(own), own);
  }

  /// What a tensor of the file is.
  ///
  /// @param name its full name, prefix included
  public LayerKind kind(String name, Shape shape) {
    return name.startsWith(prefix)
        ? family.kind(name.substring(prefix.length()), shape, names)
        : LayerKind.FOREIGN;
  }

  /// Whether a tensor of the file is the weight of an `nn.Linear`.
  public boolean isLinear(String name, Shape shape) {
    return kind(name, shape) == LayerKind.LINEAR;
  }

  /// Whether diffusers or transformers know these names, so that a model directory opens.
  public boolean opensAsDirectory() {
    return prefix.isEmpty() && dialect != Dialect.ORIGINAL;
  }

  /// Every spelling of module paths; see {@link ModelFamily#spellings}.
  public List<ModelFamily.Spelling> spellings() {
    return family.spellings(names);
  }
}
