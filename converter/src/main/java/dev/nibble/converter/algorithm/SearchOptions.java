package dev.nibble.converter.algorithm;

/// How much work a search may do. The result depends on `maxRows`, never on `threads`.
///
/// @param maxRows output rows of each layer that are tried, spread evenly; all, where a layer has
///   no more
/// @param threads that work at once
public record SearchOptions(int maxRows, int threads) {
  /// 512 rows, two threads.
  public static final SearchOptions DEFAULT = new SearchOptions(512, 2);

  public SearchOptions {
    if (maxRows < 1 || threads < 1) {
      throw new IllegalArgumentException(maxRows + " rows, " + threads + " threads");
    }
  }
}
