package dev.nibble.converter;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;

/// Finds what somebody may have meant by a pattern that matches nothing.
final class NearestNames {
  private static final int MOST = 3;

  private NearestNames() {}

  /// Up to three names nearest to the pattern, the nearest first: components, dotted suffixes and
  /// full paths of the modules. None that would need more than about half of the pattern rewritten.
  static List<String> of(String pattern, Collection<String> modules) {
    String wanted = fold(pattern.replace("*", "").replace("?", "").replaceAll("^\\.+|\\.+$", ""));
    int limit = Math.max(2, wanted.length() / 2);
    record Near(String name, int distance) {}
    List<Near> near = new ArrayList<>();
    for (String name : candidates(modules)) {
      if (Math.abs(name.length() - wanted.length()) <= limit) {
        int distance = distance(wanted, fold(name));
        if (distance <= limit) {
          near.add(new Near(name, distance));
        }
      }
    }
    near.sort(
        Comparator.comparingInt(Near::distance)
            .thenComparingInt(found -> found.name().length())
            .thenComparing(Near::name));
    return near.stream().limit(MOST).map(Near::name).toList();
  }

  private static Set<String> candidates(Collection<String> modules) {
    Set<String> names = new TreeSet<>();
    for (String module : modules) {
      names.add(module);
      int end = 0;
      for (int dot = module.indexOf('.'); dot >= 0; dot = module.indexOf('.', dot + 1)) {
        addNamed(names, module.substring(end, dot));
        end = dot + 1;
        addNamed(names, module.substring(end));
      }
    }
    return names;
  }

  /// Adds a part of a path, unless it begins with a bare block number.
  private static void addNamed(Set<String> names, String part) {
    if (!part.isEmpty() && !Character.isDigit(part.charAt(0))) {
      names.add(part);
    }
  }

  private static String fold(String name) {
    return name.toLowerCase(Locale.ROOT);
  }

  /// Levenshtein's distance: insertions, deletions and replacements of one character.
  static int distance(String a, String b) {
    int[] previous = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      previous[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int[] row = new int[b.length() + 1];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = previous[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        row[j] = Math.min(replaced, 1 + Math.min(previous[j], row[j - 1]));
      }
      previous = row;
    }
    return previous[b.length()];
  }
}
