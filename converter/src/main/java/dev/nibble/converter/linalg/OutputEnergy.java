package dev.nibble.converter.linalg;

import java.lang.foreign.MemorySegment;

/// Mean squared outputs of rows of a weight (or of its error) for the inputs that a layer saw:
/// `mean over tokens x of (d·x)²` for each row d. Safe for many threads.
public sealed interface OutputEnergy permits GramEnergy, SampleEnergy {
  /// Exact for all tokens: `d·G·dᵀ / tokens`.
  ///
  /// @param gram XᵀX of the tokens X, F32 `[features, features]`, row-major and symmetric; borrowed
  /// @param tokens rows of X
  static OutputEnergy ofGram(MemorySegment gram, int features, long tokens) {
    return new GramEnergy(gram, features, tokens);
  }

  /// From some tokens.
  ///
  /// @param sample F32 `[tokens, features]`, row-major; borrowed
  static OutputEnergy ofSample(MemorySegment sample, int tokens, int features) {
    return new SampleEnergy(sample, tokens, features);
  }

  /// The same, in whichever of the two forms takes less work for many rows.
  OutputEnergy compact();

  /// Width of a row.
  int features();

  /// The energy of each row.
  ///
  /// @param rows `[count, features]`, row-major
  double[] each(float[] rows, int count);

  /// The energy of all rows together.
  default double of(float[] rows, int count) {
    double sum = 0;
    for (double energy : each(rows, count)) {
      sum += energy;
    }
    return sum;
  }
}
