package dev.nibble.converter;

import dev.nibble.converter.algorithm.ScalePlan;
import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.CalibrationStats;
import dev.nibble.formats.model.Fold;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.model.RowEdit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/// Which layers get input scales, and what absorbs them: the same when it is planned and when it is
/// done.
public final class ScaleGroups {
  private ScaleGroups() {}

  /// The groups of a model.
  ///
  /// @param tensors shapes by name
  /// @param calibrated whether a module's weight is one that can be scaled
  /// @param editable whether the rows of a tensor can be multiplied: it stays float, or is a weight
  ///   that can be scaled
  public static List<ScalePlan.Group> of(
      CalibrationStats stats,
      ModelFamily family,
      Map<String, Shape> tensors,
      Predicate<String> calibrated,
      Predicate<String> editable) {
    List<ScalePlan.Group> groups = new ArrayList<>();
    for (ScalePlan.Group group : ScalePlan.of(stats, family, tensors, calibrated).groups()) {
      if (!group.modules().stream().allMatch(calibrated)) {
        continue; // a weight that stays float would have to be scaled too
      }
      boolean absorbed =
          group.fold().stream()
              .flatMap(fold -> edited(fold, group, tensors.keySet()).stream())
              .allMatch(editable);
      groups.add(
          absorbed
              ? group
              : new ScalePlan.Group(
                  group.modules(),
                  group.inputs(),
                  Optional.empty(),
                  "what would absorb it is quantized in a scheme that can't be scaled"));
    }
    return groups;
  }

  /// Names of the tensors that a group's fold edits; none without a fold.
  static List<String> edited(ScalePlan.Group group, Set<String> names) {
    return group.fold().stream().flatMap(fold -> edited(fold, group, names).stream()).toList();
  }

  private static List<String> edited(Fold fold, ScalePlan.Group group, Set<String> names) {
    float[] ones = new float[group.inputs().getFirst().features()];
    Arrays.fill(ones, 1);
    return fold.edits(ones, names).stream().map(RowEdit::tensor).toList();
  }
}
