package dev.nibble.runtime.tensor.shape;

import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.AttentionBias;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/// The keys that each query sees: with every kind of bias they are one range `[begin, end)`.
public final class KeyRanges {
  private final int queries;
  private final boolean isPerItem;
  private final int[] begins;
  private final int[] ends;

  /// @throws IllegalArgumentException if the bias does not fit
  public KeyRanges(AttentionBias bias, int batch, int heads, int queries, int keys) {
    this.queries = queries;
    this.isPerItem = bias instanceof AttentionBias.KeyLengths;
    begins = new int[isPerItem ? batch * queries : queries];
    ends = new int[begins.length];
    Arrays.fill(ends, keys);
    int d = keys - queries;
    switch (bias) {
      case AttentionBias.None() -> {}
      case AttentionBias.LowerTriangular() -> window(keys, keys + queries, 0, 0);
      case AttentionBias.LowerTriangularFromBottomRight() -> window(keys, keys + queries, d, 0);
      case AttentionBias.LocalFromBottomRight(int left, int right) -> window(keys, left, d, right);
      case AttentionBias.BlockDiagonal(var queryLengths, var keyLengths) ->
          segments(queryLengths, keyLengths, batch, keys);
      case AttentionBias.KeyLengths(var lengths) -> lengths(lengths, batch, keys);
      case AttentionBias.Dense(Tensor tensor) ->
          require(
              tensor.shape().equals(Shape.of(batch, heads, queries, keys)),
              "a dense bias of %s for [batch, heads, queries, keys] = [%d, %d, %d, %d]"
                  .formatted(tensor.shape(), batch, heads, queries, keys));
    }
  }

  /// First key of a query.
  public int begin(int item, int query) {
    return begins[isPerItem ? item * queries + query : query];
  }

  /// One behind the last key of a query.
  public int end(int item, int query) {
    return ends[isPerItem ? item * queries + query : query];
  }

  /// Query i sees keys from `i + shift - left` to `i + shift + right`.
  private void window(int keys, int left, int shift, int right) {
    for (int i = 0; i < begins.length; i++) {
      long centre = (long) i + shift;
      begins[i] = Math.clamp(centre - left, 0, keys);
      ends[i] = Math.clamp(centre + right + 1, begins[i], keys);
    }
  }

  private void segments(List<Integer> queryLengths, List<Integer> keyLengths, int batch, int keys) {
    long queriesGiven = sum(queryLengths);
    long keysGiven = sum(keyLengths);
    require(
        batch == 1 && queriesGiven == queries && keysGiven == keys,
        "segments of %d queries and %d keys in all, for a batch of %d with %d queries and %d keys"
                .formatted(queriesGiven, keysGiven, batch, queries, keys)
            + "; a block-diagonal bias wants a batch of 1 and every token in a segment");
    int query = 0;
    int key = 0;
    for (int segment = 0; segment < queryLengths.size(); segment++) {
      int end = query + queryLengths.get(segment);
      Arrays.fill(begins, query, end, key);
      key += keyLengths.get(segment);
      Arrays.fill(ends, query, end, key);
      query = end;
    }
  }

  private void lengths(List<Integer> lengths, int batch, int keys) {
    require(
        lengths.size() == batch,
        "%d key lengths for a batch of %d".formatted(lengths.size(), batch));
    for (int item = 0; item < batch; item++) {
      int length = lengths.get(item);
      require(
          length >= 0 && length <= keys,
          "a key length of %d among %d keys".formatted(length, keys));
      Arrays.fill(ends, item * queries, (item + 1) * queries, length);
    }
  }

  private static long sum(List<Integer> lengths) {
    long sum = 0;
    for (int length : lengths) {
      require(length >= 0, "a segment of length " + length);
      sum += length;
    }
    return sum;
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new IllegalArgumentException("attention: " + message);
    }
  }
}
