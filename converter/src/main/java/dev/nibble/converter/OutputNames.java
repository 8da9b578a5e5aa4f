package dev.nibble.converter;

import dev.nibble.converter.SourceTensor.Piece;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.model.NameMap;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.model.RenamedTensor;
import dev.nibble.formats.model.Renaming;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/// Gives the tensors of a source the names that the output has. Renaming, splitting and joining
/// come before everything else of a plan: what is decided about a tensor is decided about the
/// tensor of the output.
final class OutputNames {
  private final PlanSource source;
  private final PlanNotes notes;

  private OutputNames(PlanSource source, PlanNotes notes) {
    this.source = source;
    this.notes = notes;
  }

  /// The names of a GGUF file for which none are asked: the original ones, which most tools want,
  /// where nibble knows them.
  static Optional<Dialect> ofGguf(PlanSource source, Recognition model) {
    return map(source, model).map(_ -> Dialect.ORIGINAL);
  }

  /// The source under the names of the output: those asked for, else for a directory the names that
  /// its loader knows, else its own.
  ///
  /// @param wanted the names asked for
  /// @param directory whether the output is a directory
  /// @throws ConversionException if names are asked for that nibble has no table of
  /// @throws dev.nibble.formats.UnsupportedException if a tensor has no name in the other dialect
  static PlanSource of(
      Optional<Dialect> wanted,
      PlanSource source,
      Recognition model,
      boolean directory,
      PlanNotes notes) {
    boolean implied = directory && !model.opensAsDirectory();
    if (wanted.isEmpty() && !implied) {
      return source;
    }
    Optional<NameMap> map = map(source, model);
    if (map.isEmpty() && wanted.isPresent()) {
      throw new ConversionException(
          source.label()
              + ": nibble has no table of the names of "
              + source.className().orElse(model.family().label())
              + " in the other dialect: leave out --names");
    }
    Dialect to = wanted.orElse(Dialect.LIBRARY);
    return map.isEmpty() || map.get().dialect(source.names()) == to
        ? source
        : new OutputNames(source, notes).rename(map.get(), to);
  }

  /// By the class of the configuration, which tells a VAE of a bundle from its UNet.
  private static Optional<NameMap> map(PlanSource source, Recognition model) {
    return source.className().flatMap(NameMap::ofClass).or(() -> NameMap.of(model.family()));
  }

  private PlanSource rename(NameMap map, Dialect to) {
    SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
    source.tensors().forEach((name, tensor) -> shapes.put(name, tensor.shape()));
    Renaming renaming = map.rename(source.label(), shapes, to);
    noteLeftOut(renaming.foreign(), "belong to other models of the file");
    noteLeftOut(renaming.dropped(), "have no place in the model");
    SequencedMap<String, SourceTensor> renamed = new LinkedHashMap<>();
    for (RenamedTensor tensor : renaming.tensors()) {
      renamed.put(tensor.name(), assemble(tensor));
    }
    return source.withTensors(renamed);
  }

  private void noteLeftOut(List<String> names, String reason) {
    if (!names.isEmpty()) {
      notes.add(
          names.size()
              + (names.size() == 1 ? " tensor" : " tensors")
              + " left out, for they "
              + reason
              + ": "
              + Text.printable(names.getFirst())
              + (names.size() == 1 ? "" : ", ..."));
    }
  }

  private SourceTensor assemble(RenamedTensor renamed) {
    List<Piece> pieces = new ArrayList<>();
    SourceTensor first = tensor(renamed.pieces().getFirst().source());
    for (RenamedTensor.Piece piece : renamed.pieces()) {
      SourceTensor whole = tensor(piece.source());
      if (whole.dtype() != first.dtype()) {
        throw new ConversionException(
            source.label()
                + ": '%s' is %s and '%s' is %s, and '%s' joins them: keep the names that they have"
                    .formatted(
                        Text.printable(first.name()),
                        first.dtype(),
                        Text.printable(whole.name()),
                        whole.dtype(),
                        Text.printable(renamed.name())));
      }
      pieces.add(rows(whole, piece.firstRow(), piece.rows()));
    }
    if (renamed.transposed() && first.quantized()) {
      throw new ConversionException(
          source.label()
              + ": '%s' is quantized and would have to be transposed: dequantize this file first"
                  .formatted(Text.printable(first.name())));
    }
    return new SourceTensor(
        renamed.name(), first.dtype(), renamed.shape(), pieces, renamed.transposed());
  }

  private SourceTensor tensor(String name) {
    SourceTensor tensor = source.tensors().get(name);
    if (tensor == null) {
      throw new AssertionError(name + " is no tensor of the source that was renamed");
    }
    return tensor;
  }

  private static Piece rows(SourceTensor tensor, long first, long count) {
    Piece whole = tensor.pieces().getFirst();
    long rows = tensor.shape().rank() == 0 ? 1 : tensor.shape().dim(0);
    long elements = rows == 0 ? 0 : tensor.shape().elements() / rows;
    long bytes = rows == 0 ? 0 : (long) ((double) whole.byteSize() * count / rows);
    return new Piece(
        whole.tensor(),
        whole.quantized(),
        whole.stored(),
        first * elements,
        count * elements,
        bytes);
  }
}
