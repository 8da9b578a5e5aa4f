package dev.nibble.formats.model;

import dev.nibble.formats.model.ModelFamily.Dialect;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// The families that nibble knows.
public final class ModelFamilies {
  /// In the order in which they are tried.
  private static final List<ModelFamily> ALL =
      List.of(
          new ZImageFamily(),
          new QwenImageFamily(),
          new FluxFamily(),
          new Sd3Family(),
          new SdUnetFamily(),
          new DitFamily(),
          new T5Family(),
          new ClipFamily(),
          new QwenLlamaFamily());

  private static final ModelFamily UNKNOWN = new UnknownFamily();

  /// What the names of a diffusion model may begin with in a file.
  private static final List<String> PREFIXES =
      List.of("", "model.diffusion_model.", "diffusion_model.");

  private ModelFamilies() {}

  /// Every known family.
  public static List<ModelFamily> all() {
    return ALL;
  }

  /// The family that guesses by shape, id `unknown`.
  public static ModelFamily unknown() {
    return UNKNOWN;
  }

  public static Optional<ModelFamily> byId(String id) {
    if (id.equals(UNKNOWN.id())) {
      return Optional.of(UNKNOWN);
    }
    return ALL.stream().filter(family -> family.id().equals(id)).findFirst();
  }

  /// The family of a checkpoint, by its tensor names; {@link #unknown()} if none fits.
  public static Recognition recognise(Set<String> names) {
    for (String prefix : PREFIXES) {
      for (ModelFamily family : ALL) {
        Recognition found = Recognition.of(family, prefix, names);
        if (found.dialect() != Dialect.NONE) {
          return found;
        }
      }
    }
    return Recognition.of(UNKNOWN, "", names);
  }

  /// Takes a checkpoint for one of a named family. Should its names fit the family under some
  /// prefix, this is the prefix; else the longest one that occurs.
  public static Recognition treatAs(ModelFamily family, Set<String> names) {
    for (String prefix : PREFIXES) {
      Recognition found = Recognition.of(family, prefix, names);
      if (found.dialect() != Dialect.NONE && !family.equals(UNKNOWN)) {
        return found;
      }
    }
    for (String prefix : PREFIXES) {
      if (!prefix.isEmpty() && names.stream().anyMatch(name -> name.startsWith(prefix))) {
        return Recognition.of(family, prefix, names);
      }
    }
    return Recognition.of(family, "", names);
  }
}
