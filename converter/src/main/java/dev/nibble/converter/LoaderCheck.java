package dev.nibble.converter;

import dev.nibble.formats.model.ModelFamily.Spelling;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/// Makes the skip list of a plan, and reads it back as each loader will.
final class LoaderCheck {
  private final String model;
  private final List<String> quantized;
  private final List<String> kept;
  private final List<Spelling> spellings;
  private final List<String> alwaysListed;

  /// @param model what to call the model in messages
  /// @param quantized module paths of the linear layers that are quantized, as in the file
  /// @param kept of those that are not
  /// @param spellings how the classes that open the model spell the paths
  /// @param alwaysListed modules to list even though the file has no tensor of theirs
  LoaderCheck(
      String model,
      List<String> quantized,
      List<String> kept,
      List<Spelling> spellings,
      List<String> alwaysListed) {
    this.model = model;
    this.quantized = List.copyOf(quantized);
    this.kept = List.copyOf(kept);
    this.spellings = List.copyOf(spellings);
    this.alwaysListed = List.copyOf(alwaysListed);
  }

  /// The paths of a module in every spelling, the file's first.
  Set<String> spelled(String module) {
    Set<String> paths = new LinkedHashSet<>();
    spellings.forEach(spelling -> paths.add(spelling.of(module)));
    return paths;
  }

  /// The full path of every linear layer that stays in float, in every spelling.
  List<String> skipList() {
    Set<String> list = new LinkedHashSet<>();
    for (String module : kept) {
      list.addAll(spelled(module));
    }
    list.addAll(alwaysListed);
    return List.copyOf(list);
  }

  /// Simulates a loader on the plan.
  ///
  /// @param added what the loader adds to the list by itself
  /// @throws ConversionException if it would read a layer otherwise than the plan writes it
  void require(LoaderRules loader, List<String> added) {
    List<String> list = new ArrayList<>(skipList());
    list.addAll(added);
    Predicate<String> left = loader.leavesInFloat(list);
    for (Spelling spelling : spellings) {
      for (String module : quantized) {
        if (left.test(spelling.of(module))) {
          throw leftInFloat(loader, list, spelling, module, left);
        }
      }
      for (String module : kept) {
        if (!left.test(spelling.of(module))) {
          throw new ConversionException(
              "%s: %s would take '%s' for quantized, for no entry of a skip list can name it:"
                      .formatted(model, loader.label(), module)
                  + " do not skip it, or write a single file with -o X.safetensors");
        }
      }
    }
  }

  private ConversionException leftInFloat(
      LoaderRules loader,
      List<String> list,
      Spelling spelling,
      String module,
      Predicate<String> left) {
    long count = quantized.stream().filter(path -> left.test(spelling.of(path))).count();
    String culprit =
        list.stream()
            .filter(entry -> loader.leavesInFloat(List.of(entry)).test(spelling.of(module)))
            .findFirst()
            .orElse(module);
    Optional<String> keptCulprit =
        kept.stream().filter(path -> spelled(path).contains(culprit)).findFirst();
    return new ConversionException(
        "%s: with '%s' kept, %s would also leave %s in float, which the plan quantizes: add --skip '%s'%s"
            .formatted(
                model,
                culprit,
                loader.label(),
                count == 1 ? "'" + module + "'" : count + " layers such as '" + module + "'",
                generalized(module),
                keptCulprit.map(path -> ", or quantize '" + path + "' too").orElse("")));
  }

  /// The path with every block number but a last one as `*`.
  private static String generalized(String module) {
    return module.replaceAll("\\.\\d+(?=\\.)", ".*");
  }
}
