package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// One line of a {@link NameTable}: a tensor of the original names and the tensors of the library
/// names that hold the same rows.
///
/// @param original the name in the original code
/// @param library more than one where the original is fused; none where the library drops it
/// @param weights how the rows of the original are shared out over `library`
/// @param form how the numbers differ
/// @param without the rule does not lead to the original if a tensor of this library name exists
record NameRule(
    NamePattern original,
    List<NamePattern> library,
    List<Integer> weights,
    Form form,
    Optional<String> without) {
  NameRule {
    library = List.copyOf(library);
    weights = List.copyOf(weights);
  }

  /// How the numbers of the two sides differ.
  enum Form {
    SAME,
    /// The halves along dimension 0 stand the other way round.
    SWAP,
    /// The original has dimensions of size 1 behind the library's two.
    SQUEEZE,
    TRANSPOSE
  }

  /// Whether it may lead from the library's names to the original's.
  boolean leadsBack(Set<String> libraryNames) {
    return without.isEmpty() || !libraryNames.contains(without.get());
  }

  boolean isOriginal(String name) {
    return original.match(name).isPresent();
  }

  boolean isLibrary(String name) {
    return library.stream().anyMatch(pattern -> pattern.match(name).isPresent());
  }

  int totalWeight() {
    return weights.stream().mapToInt(Integer::intValue).sum();
  }

  /// The shape of the library's tensor, from the original's, or the other way round.
  ///
  /// @param toLibrary which way
  Shape shape(Shape source, boolean toLibrary) {
    return switch (form) {
      case SAME, SWAP -> source;
      case SQUEEZE ->
          toLibrary
              ? Shape.of(source.dim(0), source.dim(1))
              : Shape.of(source.dim(0), source.dim(1), 1, 1);
      case TRANSPOSE -> Shape.of(source.dim(1), source.dim(0));
    };
  }

  /// Whether a tensor of this shape can take the form.
  ///
  /// @param toLibrary whether the shape is the original's
  boolean fits(Shape source, boolean toLibrary) {
    return switch (form) {
      case SAME -> library.size() < 2 || source.rank() > 0;
      case SWAP -> source.rank() > 0 && source.dim(0) % 2 == 0;
      case TRANSPOSE -> source.rank() == 2;
      case SQUEEZE ->
          toLibrary
              ? source.rank() >= 2 && source.elements() == source.dim(0) * source.dim(1)
              : source.rank() == 2;
    };
  }
}
