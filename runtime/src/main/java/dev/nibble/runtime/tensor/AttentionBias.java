package dev.nibble.runtime.tensor;

import java.util.List;

/// Which keys a query sees, after xFormers' `attn_bias` classes (`xformers/ops/fmha/attn_bias.py`).
/// With query row i, key column j, and d = keys - queries.
public sealed interface AttentionBias {
  /// Every key.
  record None() implements AttentionBias {}

  /// `j <= i`, aligned at the top left.
  record LowerTriangular() implements AttentionBias {}

  /// `j <= i + d`, aligned at the bottom right: the last query sees every key.
  record LowerTriangularFromBottomRight() implements AttentionBias {}

  /// `i + d - left <= j <= i + d + right`.
  record LocalFromBottomRight(int left, int right) implements AttentionBias {
    public LocalFromBottomRight {
      if (left < 0 || right < 0) {
        throw new IllegalArgumentException(
            "a local window has sides of 0 or more, not left %d, right %d".formatted(left, right));
      }
    }
  }

  /// A batch of one whose tokens are sequences one after the other: segment n of the queries sees
  /// segment n of the keys.
  record BlockDiagonal(List<Integer> queryLengths, List<Integer> keyLengths)
      implements AttentionBias {
    public BlockDiagonal {
      queryLengths = List.copyOf(queryLengths);
      keyLengths = List.copyOf(keyLengths);
      if (queryLengths.size() != keyLengths.size()) {
        throw new IllegalArgumentException(
            "%d segments of queries but %d of keys"
                .formatted(queryLengths.size(), keyLengths.size()));
      }
    }
  }

  /// A number added to each scaled score.
  ///
  /// @param bias `[B, H, Tq, Tk]`, exactly
  record Dense(Tensor bias) implements AttentionBias {}

  /// The first `lengths[b]` keys of batch item b; the others are padding.
  record KeyLengths(List<Integer> lengths) implements AttentionBias {
    public KeyLengths {
      lengths = List.copyOf(lengths);
    }
  }
}
