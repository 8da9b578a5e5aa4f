package dev.nibble.formats.internal.simd;

/// Groups of numbers, each of which shares a scale, and what {@link BlockSearch} finds for them;
/// scratch of one thread.
///
/// Group `g` holds elements `[from + g * size, from + (g + 1) * size)` of `x`; its weights and
/// codes lie from `g * size` on in theirs.
public final class SearchGroups {
  /// Lanes of the longest vectors that are put to use.
  static final int LANES = 16;

  private static final int STATES = 13;

  /// Elements of a group.
  public final int size;

  /// Weights of the elements, for {@link Weighting#GIVEN}.
  public final float[] weights;

  /// One for each element.
  public final byte[] codes;

  /// Results, one for each group.
  public final float[] scales;

  /// What is to be subtracted: the least value of the group, negated, at least 0.
  public final float[] mins;

  /// Sums of weights.
  public final float[] weightSums;

  float[] x = {};
  int from;
  int count;

  /// Numbers, weights and codes with the elements of one index of 16 groups side by side.
  final float[] laneX;

  final float[] laneWeights;
  final float[] laneCodes;

  /// What is known of each lane between two steps of a search, {@link #LANES} numbers for each of
  /// the names that the search gives them.
  final float[] laneState = new float[STATES * LANES];

  /// Whether the last step changed a lane.
  boolean changed;

  /// @param size elements of a group, at most 32
  /// @param capacity groups
  public SearchGroups(int size, int capacity) {
    this.size = size;
    weights = new float[size * capacity];
    codes = new byte[size * capacity];
    scales = new float[capacity];
    mins = new float[capacity];
    weightSums = new float[capacity];
    laneX = new float[size * LANES];
    laneWeights = new float[size * LANES];
    laneCodes = new float[size * LANES];
  }

  /// Points to `count` groups in `x`, borrowed.
  public SearchGroups at(float[] x, int from, int count) {
    this.x = x;
    this.from = from;
    this.count = count;
    return this;
  }

  /// Groups at hand.
  public int count() {
    return count;
  }

  /// What an element counts in a search.
  public enum Weighting {
    /// `|x|`
    MAGNITUDE,
    /// `sqrt(mean x²) + |x|`, the mean that of the group
    RMS_AND_MAGNITUDE,
    /// `x²`
    SQUARE,
    /// {@link SearchGroups#weights}
    GIVEN
  }
}
