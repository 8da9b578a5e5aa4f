package dev.nibble.formats.model;

import java.util.List;

/// The tensors of a checkpoint in another dialect.
///
/// @param tensors in the order of the source
/// @param dropped names of source tensors that the other dialect has no use for
/// @param foreign names of source tensors that belong to another model of the same file
public record Renaming(List<RenamedTensor> tensors, List<String> dropped, List<String> foreign) {
  public Renaming {
    tensors = List.copyOf(tensors);
    dropped = List.copyOf(dropped);
    foreign = List.copyOf(foreign);
  }
}
