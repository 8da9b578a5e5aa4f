package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.model.NameRule.Form;
import dev.nibble.formats.model.RenamedTensor.Piece;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;

/// Turns the tensors of a model from the names of its original code into those of its diffusers or
/// transformers class, and back: renames, splits and joins rows, all known from names and shapes.
/// The tables lie in the resources `names/*.names`; {@link NameTable} explains them.
public final class NameMap {
  /// Tables by the class that opens the model.
  private static final Map<String, String> BY_CLASS =
      Map.of(
          "ZImageTransformer2DModel", "z-image",
          "QwenImageTransformer2DModel", "qwen-image",
          "FluxTransformer2DModel", "flux",
          "UNet2DConditionModel", "sd-unet",
          "AutoencoderKL", "sd-vae",
          "CLIPTextModel", "sd-clip",
          "CLIPTextModelWithProjection", "open-clip");

  private final NameTable table;

  private NameMap(NameTable table) {
    this.table = table;
  }

  /// The map of a diffusion model's family; empty where nibble has no table.
  public static Optional<NameMap> of(ModelFamily family) {
    return family.diffusersClasses().stream()
        .filter(BY_CLASS::containsKey)
        .findFirst()
        .flatMap(NameMap::ofClass);
  }

  /// The map of the model that a class of diffusers or transformers opens, as `_class_name` or
  /// `architectures` name it: also of the parts of a single file that are no diffusion models.
  public static Optional<NameMap> ofClass(String className) {
    return Optional.ofNullable(BY_CLASS.get(className)).map(id -> new NameMap(NameTable.load(id)));
  }

  /// What single files usually put before the original names; often nothing.
  public String prefix() {
    return table.prefixes().getFirst();
  }

  /// The dialect that most of these names are of; the library's, should both fit.
  public Dialect dialect(Set<String> names) {
    if (!prefixOf(names).isEmpty()) {
      return Dialect.ORIGINAL;
    }
    int original = 0;
    int library = 0;
    for (String name : names) {
      original += table.rules().stream().anyMatch(rule -> rule.isOriginal(name)) ? 1 : 0;
      library += table.rules().stream().anyMatch(rule -> rule.isLibrary(name)) ? 1 : 0;
    }
    return original > library ? Dialect.ORIGINAL : Dialect.LIBRARY;
  }

  /// Renames a checkpoint.
  ///
  /// @param label what to call it in messages
  /// @param source every tensor by name, in file order; original names may have a prefix
  /// @param to the dialect of the result; original names get {@link #prefix()}
  /// @throws UnsupportedException if the table doesn't know a tensor, or rows can't be divided or
  ///   joined as it says
  public Renaming rename(String label, SequencedMap<String, Shape> source, Dialect to) {
    return switch (to) {
      case LIBRARY -> new Run(label, source).toLibrary();
      case ORIGINAL -> new Run(label, source).toOriginal();
      case NONE -> throw new IllegalArgumentException("no dialect");
    };
  }

  /// The prefix of these original names.
  private String prefixOf(Set<String> names) {
    for (String prefix : table.prefixes()) {
      if (!prefix.isEmpty() && names.stream().anyMatch(name -> name.startsWith(prefix))) {
        return prefix;
      }
    }
    return "";
  }

  private final class Run {
    private final String label;
    private final SequencedMap<String, Shape> source;
    private final List<RenamedTensor> renamed = new ArrayList<>();
    private final List<String> dropped = new ArrayList<>();
    private final List<String> foreign = new ArrayList<>();

    Run(String label, SequencedMap<String, Shape> source) {
      this.label = label;
      this.source = source;
    }

    Renaming toLibrary() {
      String prefix = prefixOf(source.keySet());
      Set<String> names = new HashSet<>();
      source.forEach((full, shape) -> {
        if (!full.startsWith(prefix)) {
          foreign.add(full);
          return;
        }
        String name = full.substring(prefix.length());
        names.add(name);
        apply(name, full, shape);
      });
      requireNeeded(names, 0);
      return finish();
    }

    private void apply(String name, String full, Shape shape) {
      for (NameRule rule : table.rules()) {
        Optional<List<String>> places = rule.original().match(name);
        if (places.isPresent()) {
          if (rule.library().isEmpty()) {
            dropped.add(full);
          } else {
            split(rule, places.get(), full, shape);
          }
          return;
        }
      }
      throw unknown(full);
    }

    private void split(NameRule rule, List<String> places, String full, Shape shape) {
      long rows = shape.rank() == 0 ? 1 : shape.dim(0);
      if (!rule.fits(shape, true) || rows % rule.totalWeight() != 0) {
        throw misshapen(full, shape, rule.library().getFirst().fill(places));
      }
      long unit = rows / rule.totalWeight();
      long first = 0;
      for (int i = 0; i < rule.library().size(); i++) {
        long count = unit * rule.weights().get(i);
        Shape part = rule.library().size() == 1 ? shape : withRows(shape, count);
        renamed.add(
            new RenamedTensor(
                rule.library().get(i).fill(places),
                rule.shape(part, true),
                pieces(rule, full, first, count),
                rule.form() == Form.TRANSPOSE));
        first += count;
      }
    }

    Renaming toOriginal() {
      Map<String, Joint> joints = new LinkedHashMap<>();
      source.forEach((name, shape) -> assign(name, joints));
      joints.forEach(this::join);
      requireNeeded(source.keySet(), 1);
      return finish();
    }

    private void assign(String name, Map<String, Joint> joints) {
      for (NameRule rule : table.rules()) {
        if (!rule.leadsBack(source.keySet())) {
          continue;
        }
        for (int i = 0; i < rule.library().size(); i++) {
          Optional<List<String>> places = rule.library().get(i).match(name);
          if (places.isPresent()) {
            joints.putIfAbsent(
                prefix() + rule.original().fill(places.get()), new Joint(rule, places.get()));
            return;
          }
        }
      }
      throw unknown(name);
    }

    private void join(String original, Joint joint) {
      NameRule rule = joint.rule();
      List<Piece> pieces = new ArrayList<>();
      Shape first = Shape.of();
      long total = 0;
      for (int i = 0; i < rule.library().size(); i++) {
        String name = rule.library().get(i).fill(joint.places());
        Shape shape = source.get(name);
        if (shape == null) {
          throw new UnsupportedException(
              label, "'%s' is made of '%s', which is missing".formatted(original, name));
        }
        long rows = shape.rank() == 0 ? 1 : shape.dim(0);
        first = i == 0 ? shape : first;
        boolean shares =
            rule.library().size() == 1
                || rows * rule.weights().getFirst() == first.dim(0) * rule.weights().get(i);
        if (!rule.fits(shape, false) || !shares || !tail(shape).equals(tail(first))) {
          throw misshapen(name, shape, original);
        }
        pieces.addAll(pieces(rule, name, 0, rows));
        total += rows;
      }
      Shape whole = rule.library().size() == 1 ? first : withRows(first, total);
      renamed.add(
          new RenamedTensor(
              original, rule.shape(whole, false), pieces, rule.form() == Form.TRANSPOSE));
    }

    private static List<Piece> pieces(NameRule rule, String name, long first, long rows) {
      return rule.form() == Form.SWAP
          ? List.of(new Piece(name, first + rows / 2, rows / 2), new Piece(name, first, rows / 2))
          : List.of(new Piece(name, first, rows));
    }

    private static Shape withRows(Shape shape, long rows) {
      List<Long> dims = new ArrayList<>(shape.dims());
      dims.set(0, rows);
      return new Shape(dims);
    }

    private static List<Long> tail(Shape shape) {
      return shape.dims().subList(Math.min(1, shape.rank()), shape.rank());
    }

    private void requireNeeded(Set<String> names, int side) {
      if (!table.needs().isEmpty()
          && names.stream().noneMatch(name -> table.needs().get(side).match(name).isPresent())) {
        throw new UnsupportedException(
            label,
            "has no '%s': nibble knows the other names of %s for models of the usual depth only"
                .formatted(table.needs().get(side).text(), table.id()));
      }
    }

    private Renaming finish() {
      Set<String> names = new HashSet<>();
      for (RenamedTensor tensor : renamed) {
        if (!names.add(tensor.name())) {
          throw new UnsupportedException(
              label,
              "two of its tensors would be named '%s'".formatted(Text.printable(tensor.name())));
        }
      }
      return new Renaming(renamed, dropped, foreign);
    }

    private UnsupportedException unknown(String name) {
      return new UnsupportedException(
          label,
          "'%s' has no known name in the other dialect of %s: keep the names that it has"
              .formatted(Text.printable(name), table.id()));
    }

    private UnsupportedException misshapen(String name, Shape shape, String other) {
      return new UnsupportedException(
          label,
          "'%s' of shape %s can't become '%s'"
              .formatted(Text.printable(name), shape, Text.printable(other)));
    }
  }

  /// A tensor of the original that is put together.
  private record Joint(NameRule rule, List<String> places) {}
}
