package dev.nibble.tools;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/// Finds what somebody may have meant by a word that nothing is called.
final class Spelling {
  private static final int MOST = 3;

  private Spelling() {}

  /// The names near to a word, nearest first: it begins them, or up to a quarter of it is wrong.
  static List<String> near(String word, Collection<String> names) {
    int limit = Math.max(1, word.length() / 4);
    return names.stream()
        .distinct()
        .filter(
            name -> (word.length() > 2 && name.startsWith(word)) || distance(word, name) <= limit)
        .sorted(Comparator.comparingInt((String name) -> distance(word, name)))
        .limit(MOST)
        .toList();
  }

  /// Levenshtein's distance: insertions, deletions and replacements of one character.
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
