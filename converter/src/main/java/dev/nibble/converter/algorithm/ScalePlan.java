package dev.nibble.converter.algorithm;

import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.CalibrationStats;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.model.Fold;
import dev.nibble.formats.model.LayerNote;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.model.ModelFamily.Spelling;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/// Which layers share an input scale, and whether something before them can absorb it. Made from
/// names and shapes alone.
///
/// @param groups every quantized layer whose input was recorded, once
public record ScalePlan(List<Group> groups) {
  private static final String WEIGHT = ".weight";

  public ScalePlan {
    groups = List.copyOf(groups);
  }

  /// Layers that take the same scales.
  ///
  /// @param modules all layers whose weight gets the scales, quantized or not, by their names in
  ///   the file
  /// @param inputs what each of the modules saw
  /// @param fold what absorbs the scales; empty where they must be kept beside the weight
  /// @param reason why there is no fold, in a few words; empty where there is one
  public record Group(
      List<String> modules, List<InputStatistics> inputs, Optional<Fold> fold, String reason) {
    public Group {
      modules = List.copyOf(modules);
      inputs = List.copyOf(inputs);
    }
  }

  /// Plans the scales of a model.
  ///
  /// @param tensors shapes of all tensors of the file, in the names of the library's class
  /// @param quantized which modules will be quantized
  public static ScalePlan of(
      CalibrationStats stats,
      ModelFamily family,
      Map<String, Shape> tensors,
      Predicate<String> quantized) {
    return new Builder(stats, family, tensors, quantized).build();
  }

  private static final class Builder {
    private final ModelFamily family;
    private final Map<String, Shape> tensors;
    private final Predicate<String> quantized;

    /// Linear layers whose input was recorded, in the order of the file.
    private final Map<String, InputStatistics> inputs = new LinkedHashMap<>();

    private final Map<String, List<String>> readers = new LinkedHashMap<>();
    private final List<Group> groups = new ArrayList<>();
    private final Map<String, String> refused = new LinkedHashMap<>();
    private final Set<String> placed = new LinkedHashSet<>();

    Builder(
        CalibrationStats stats,
        ModelFamily family,
        Map<String, Shape> tensors,
        Predicate<String> quantized) {
      this.family = family;
      this.tensors = tensors;
      this.quantized = quantized;
      List<Spelling> spellings = family.spellings(tensors.keySet());
      for (String name : tensors.keySet()) {
        if (name.endsWith(WEIGHT)) {
          String module = name.substring(0, name.length() - WEIGHT.length());
          spellings.stream()
              .flatMap(spelling -> stats.of(spelling.of(module)).stream())
              .findFirst()
              .ifPresent(input -> put(module, input));
        }
      }
    }

    private void put(String module, InputStatistics input) {
      inputs.put(module, input);
      readers.computeIfAbsent(input.name(), _ -> new ArrayList<>()).add(module);
    }

    ScalePlan build() {
      for (Fold fold : family.folds(tensors)) {
        if (fold.consumers().stream().noneMatch(quantized)) {
          continue;
        }
        Optional<String> hindrance = hindrance(fold);
        if (hindrance.isPresent()) {
          fold.consumers().forEach(module -> refused.put(module, hindrance.get()));
          continue;
        }
        groups.add(group(fold.consumers(), Optional.of(fold), ""));
      }
      for (Map.Entry<String, List<String>> reader : readers.entrySet()) {
        List<String> rest =
            reader.getValue().stream()
                .filter(module -> quantized.test(module) && !placed.contains(module))
                .toList();
        if (!rest.isEmpty()) {
          groups.add(group(rest, Optional.empty(), reason(rest.getFirst())));
        }
      }
      return new ScalePlan(groups);
    }

    private Group group(List<String> modules, Optional<Fold> fold, String reason) {
      placed.addAll(modules);
      return new Group(modules, modules.stream().map(inputs::get).toList(), fold, reason);
    }

    /// Why a fold can't be used, if it can't.
    private Optional<String> hindrance(Fold fold) {
      for (String module : fold.consumers()) {
        InputStatistics input = inputs.get(module);
        if (input == null) {
          return Optional.of("the input of '" + module + "' was not recorded");
        }
        for (String other : readers.getOrDefault(input.name(), List.of())) {
          if (!fold.consumers().contains(other)) {
            return Optional.of("'" + other + "' takes the same input");
          }
        }
      }
      return Optional.empty();
    }

    private String reason(String module) {
      String said = refused.get(module);
      if (said != null) {
        return said;
      }
      return family.unfoldable().stream()
          .filter(note -> note.matches(module))
          .map(LayerNote::reason)
          .findFirst()
          .orElse("nothing is known before it that could absorb a scale");
    }
  }
}
