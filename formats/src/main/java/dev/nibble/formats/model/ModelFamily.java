package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// What nibble knows about one architecture: how its checkpoints are recognised by their tensor
/// names, which of its tensors are weights of linear layers, and which layers deserve care. One
/// file a family; {@link ModelFamilies} lists them.
///
/// Names are tensor names in the file, without the prefix of a bundle (`model.diffusion_model.`),
/// which {@link Recognition} takes off. A *module* is a tensor name without its `.weight`.
public interface ModelFamily {
  /// Short name, as `--family` takes it: `z-image`.
  String id();

  /// Name for people: `Z-Image`.
  String label();

  /// Which names these are, if they are of this family.
  Dialect dialect(Set<String> names);

  /// The diffusers classes whose models are of this family, as `_class_name` in a `config.json`.
  default Set<String> diffusersClasses() {
    return Set.of();
  }

  /// What a tensor is, by its name, its shape and its neighbours: a linear layer with a bias is
  /// told from an embedding by the bias.
  ///
  /// @param names all names of the file
  LayerKind kind(String name, Shape shape, Set<String> names);

  /// Linear layers that the libraries themselves leave in float when they quantize this model, so
  /// that they must be float in the file: `_keep_in_fp32_modules`, output embeddings.
  default List<LayerNote> keptByLoaders() {
    return List.of();
  }

  /// Modules that a skip list of transformers must name though the file may hold no tensor of
  /// theirs: an output embedding tied to the input one. A list replaces the default that would
  /// spare them.
  default List<String> listedWithoutTensor() {
    return List.of();
  }

  /// The layers that lose most when quantized, which `--keep-sensitive` keeps.
  List<LayerNote> sensitive();

  /// The layers whose inputs are not to be rounded to 8 bits, whatever they lose by themselves.
  default List<LayerNote> sixteenBitInputs() {
    return sensitive();
  }

  /// Where input scales of layers go without a trace, for names of the {@link Dialect#LIBRARY}.
  /// What is not listed has no place for a scale, or none that is known.
  ///
  /// @param tensors shapes of all tensors of the file
  default List<Fold> folds(Map<String, Shape> tensors) {
    return List.of();
  }

  /// Why the input of some layers can't be scaled by anything before them.
  default List<LayerNote> unfoldable() {
    return List.of();
  }

  /// The ways in which the classes that open this model spell its module paths: first as the file
  /// spells them.
  ///
  /// @param names all names of the file
  default List<Spelling> spellings(Set<String> names) {
    return List.of(Spelling.AS_IN_FILE);
  }

  /// The dialect of a set of names.
  enum Dialect {
    /// Not of this family.
    NONE,
    /// The names of the diffusers or transformers class: what a model directory needs.
    LIBRARY,
    /// The names of the original code, as ComfyUI and most single files have them.
    ORIGINAL;

    /// As `--names` takes it.
    public String optionName() {
      return switch (this) {
        case NONE -> "none";
        case LIBRARY -> "diffusers";
        case ORIGINAL -> "original";
      };
    }
  }

  /// Turns the module path of the file into the module path of a class that opens it.
  @FunctionalInterface
  interface Spelling {
    Spelling AS_IN_FILE = module -> module;

    String of(String module);
  }
}
