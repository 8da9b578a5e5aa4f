package dev.nibble.runtime.nn;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.RopeTable;
import java.util.List;

/// Angles of rotary position embeddings over one or more axes (Su et al., arXiv:2104.09864): pair j
/// of an axis of dim d turns by `position · theta^(-2j/d)`; the axes' pairs follow each other.
///
/// @param theta base of the frequencies
/// @param axesDims elements of a head that each axis turns; their sum is the head dim
/// @param pairs which elements are turned together
public record RotaryEmbedding(double theta, List<Integer> axesDims, RopeTable.Pairs pairs) {
  public RotaryEmbedding {
    axesDims = List.copyOf(axesDims);
  }

  /// Elements of a head.
  public int headDim() {
    return axesDims.stream().mapToInt(Integer::intValue).sum();
  }

  /// The table of a sequence, `[1, tokens, head dim / 2]`.
  ///
  /// @param positions of token t on axis a at `[t][a]`
  public RopeTable table(int[][] positions, Ops ops) {
    int half = headDim() / 2;
    float[] cos = new float[positions.length * half];
    float[] sin = new float[cos.length];
    int at = 0;
    for (int[] position : positions) {
      for (int axis = 0; axis < axesDims.size(); axis++) {
        int dim = axesDims.get(axis);
        for (int j = 0; j < dim / 2; j++, at++) {
          float angle = (float) (position[axis] * Math.pow(theta, -2.0 * j / dim));
          cos[at] = (float) Math.cos(angle);
          sin[at] = (float) Math.sin(angle);
        }
      }
    }
    long tokens = positions.length;
    return new RopeTable(
        ops.fromHost(cos, 1, tokens, half), ops.fromHost(sin, 1, tokens, half), pairs);
  }
}
