package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// Collects the folds of a family: rules name modules beside an anchor, and a fold is made where
/// all of them are there and their widths agree.
final class FoldFinder {
  private final Map<String, Shape> tensors;
  private final List<Fold> folds = new ArrayList<>();

  FoldFinder(Map<String, Shape> tensors) {
    this.tensors = tensors;
  }

  List<Fold> folds() {
    return List.copyOf(folds);
  }

  /// Prefixes of modules: what stands before `anchor` in the names of tensors `<prefix><anchor>`,
  /// in order.
  ///
  /// @param prefix what they must look like
  List<String> prefixes(Pattern prefix, String anchor) {
    TreeSet<String> found = new TreeSet<>();
    for (String name : tensors.keySet()) {
      if (name.endsWith(anchor)) {
        Matcher matcher = prefix.matcher(name.substring(0, name.length() - anchor.length()));
        if (matcher.matches()) {
          found.add(matcher.group());
        }
      }
    }
    return List.copyOf(found);
  }

  /// A norm's weight, for layers named relative to the prefix.
  void norm(String prefix, String norm, String... consumers) {
    List<String> modules = modules(prefix, consumers);
    Shape weight = tensors.get(prefix + norm + NameRules.WEIGHT);
    if (weight != null && weight.rank() == 1 && take(modules, weight.dim(0))) {
      folds.add(new Fold.NormWeight(prefix + norm, modules));
    }
  }

  /// Rows of linear layers. Where a value's heads are shared by several queries, the widths differ
  /// and there is no fold.
  void rows(String prefix, List<String> producers, List<String> consumers) {
    List<String> from = modules(prefix, producers.toArray(String[]::new));
    List<String> to = modules(prefix, consumers.toArray(String[]::new));
    for (String producer : from) {
      Shape weight = tensors.get(producer + NameRules.WEIGHT);
      if (weight == null || weight.rank() != 2 || !take(to, weight.dim(0))) {
        return;
      }
    }
    folds.add(new Fold.LinearRows(from, to));
  }

  /// Chunks of a modulation, which needs a bias.
  void modulation(
      String prefix,
      String producer,
      int chunks,
      int scaleChunk,
      OptionalInt shiftChunk,
      String... consumers) {
    List<String> modules = modules(prefix, consumers);
    Shape weight = tensors.get(prefix + producer + NameRules.WEIGHT);
    if (weight != null
        && weight.rank() == 2
        && weight.dim(0) % chunks == 0
        && tensors.containsKey(prefix + producer + NameRules.BIAS)
        && take(modules, weight.dim(0) / chunks)) {
      folds.add(new Fold.Modulation(prefix + producer, scaleChunk, shiftChunk, modules));
    }
  }

  private static List<String> modules(String prefix, String... names) {
    return Stream.of(names).map(name -> prefix + name).toList();
  }

  /// Whether all modules are there and take inputs of that width.
  private boolean take(List<String> modules, long width) {
    for (String module : modules) {
      Shape weight = tensors.get(module + NameRules.WEIGHT);
      if (weight == null || weight.rank() != 2 || weight.dim(1) != width) {
        return false;
      }
    }
    return true;
  }
}
