package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;
import java.util.Arrays;

/// Attention tile by tile with a running softmax: memory for one tile of scores a thread.
///
/// Queries lie side by side in panels, so each lane of a vector is a query with its own maximum and
/// sum, and nothing is ever summed across lanes. Scores are the product of rows of K with a panel
/// of Q, results that of rows of Vᵀ with the panel of weights: both the kernel of {@link MatMul}.
/// Tiles of keys begin at multiples of {@link #KEYS}, whatever a query sees of them, so that a
/// query's result does not depend on its neighbours.
final class OnlineAttention implements AttentionKernel {
  /// Keys of a tile: whole tiles of the kernel, and scores that fit a first cache.
  private static final int KEYS = 16 * Kernels.TILE;

  /// Panels of queries that share a tile of keys.
  private static final int PANELS = 4;

  @Override
  public void run(Machine machine, AttentionCall call) {
    int width = width(machine, call);
    int panels = Math.ceilDiv(call.queries, width);
    int heads = call.batch * call.heads;
    int shared = panels <= 2 * PANELS ? 1 : PANELS;
    int blocks = Math.ceilDiv(panels, shared);
    machine
        .workers()
        .run(
            heads * blocks,
            machine.scratch(),
            (task, scratch) -> {
              int head = task / blocks;
              int first = task % blocks * shared * width;
              int last = Math.min(call.queries, first + shared * width);
              new Block(machine.kernels(), call, head / call.heads, head % call.heads, width)
                  .run(first, last, scratch);
            });
  }

  /// Queries of a panel: narrower where panels would be too few to share out evenly.
  private static int width(Machine machine, AttentionCall call) {
    int lanes = machine.kernels().lanes();
    int width = machine.kernels().panel();
    int heads = call.batch * call.heads;
    int threads = machine.workers().threads();
    while (width > 2 * lanes
        && (heads * Math.ceilDiv(call.queries, width) < 2 * threads || call.queries <= width / 2)) {
      width /= 2;
    }
    return Math.min(width, Math.ceilDiv(call.queries, lanes) * lanes);
  }

  /// Some panels of queries of one head.
  private static final class Block {
    private final Kernels kernels;
    private final AttentionCall call;
    private final int item;
    private final int head;
    private final int width;
    private final int sumRows;

    Block(Kernels kernels, AttentionCall call, int item, int head, int width) {
      this.kernels = kernels;
      this.call = call;
      this.item = item;
      this.head = head;
      this.width = width;
      this.sumRows = Math.ceilDiv(call.valueDim, Kernels.TILE) * Kernels.TILE;
    }

    void run(int first, int last, Scratch scratch) {
      int panels = Math.ceilDiv(last - first, width);
      float[] q = scratch.panels.get(panels * call.dim * width);
      float[] sums = scratch.sums.get(panels * sumRows * width);
      float[] state = scratch.state.get(panels * 3 * width);
      float[] scores = scratch.scores.get(KEYS * width);
      float[] k = scratch.weights.get(KEYS * call.dim);
      float[] v = scratch.values.get(sumRows * KEYS);
      Arrays.fill(sums, 0, panels * sumRows * width, 0);
      int begin = call.keys;
      int end = 0;
      for (int i = first; i < last; i++) {
        begin = Math.min(begin, call.ranges.begin(item, i));
        end = Math.max(end, call.ranges.end(item, i));
      }
      for (int panel = 0; panel < panels; panel++) {
        packQueries(first + panel * width, last, q, panel * call.dim * width);
        int at = panel * 3 * width;
        Arrays.fill(state, at, at + width, Float.NEGATIVE_INFINITY);
        Arrays.fill(state, at + width, at + 2 * width, 0);
      }
      for (int key = begin - begin % KEYS; key < end; key += KEYS) {
        int count = Math.min(KEYS, call.keys - key);
        loadKeys(key, count, k, v);
        for (int panel = 0; panel < panels; panel++) {
          int query = first + panel * width;
          int seen = seen(query, Math.min(last, query + width), key, count);
          if (seen > 0) {
            score(q, panel * call.dim * width, k, scores, count);
            addBias(query, last, key, count, scores, seen < 2);
            kernels.softmax(scores, 0, count, width, state, panel * 3 * width);
            accumulate(scores, count, v, state, panel * 3 * width, sums, panel * sumRows * width);
          }
        }
      }
      for (int panel = 0; panel < panels; panel++) {
        finish(
            first + panel * width, last, state, panel * 3 * width, sums, panel * sumRows * width);
      }
    }

    /// Queries times the scale, transposed; lanes without a query are zeros.
    private void packQueries(int query, int last, float[] q, int at) {
      int count = Math.min(width, last - query);
      int stride = call.heads * call.dim;
      kernels.transpose(
          call.q, call.qRow(item, query, head), stride, count, call.dim, q, at, width);
      for (int e = 0; e < call.dim; e++) {
        int row = at + e * width;
        for (int i = row; i < row + count; i++) {
          q[i] *= call.scale;
        }
        Arrays.fill(q, row + count, row + width, 0);
      }
    }

    private void loadKeys(int key, int count, float[] k, float[] v) {
      int stride = call.keyHeads * call.dim;
      int from = call.kRow(item, key, head);
      for (int j = 0; j < count; j++) {
        System.arraycopy(call.k, from + j * stride, k, j * call.dim, call.dim);
      }
      // Rows beyond the last key fill the kernel's last tile; nobody reads what they give.
      int tiled = Math.ceilDiv(count, Kernels.TILE) * Kernels.TILE;
      Arrays.fill(k, count * call.dim, tiled * call.dim, 0);
      kernels.transpose(
          call.v,
          call.vRow(item, key, head),
          call.keyHeads * call.valueDim,
          count,
          call.valueDim,
          v,
          0,
          KEYS);
    }

    /// 0 if these queries see none of these keys, 2 if each sees all of them, else 1.
    private int seen(int query, int last, int key, int count) {
      boolean none = true;
      boolean all = true;
      for (int i = query; i < last; i++) {
        int begin = call.ranges.begin(item, i);
        int end = call.ranges.end(item, i);
        none &= begin >= key + count || end <= key || begin >= end;
        all &= begin <= key && end >= key + count;
      }
      return none ? 0 : all ? 2 : 1;
    }

    private void score(float[] q, int qAt, float[] k, float[] scores, int count) {
      int tiled = Math.ceilDiv(count, Kernels.TILE) * Kernels.TILE;
      Arrays.fill(scores, 0, tiled * width, 0);
      for (int j = 0; j < count; j += Kernels.TILE) {
        kernels.tile(q, qAt, width, call.dim, k, j * call.dim, call.dim, scores, j * width);
      }
    }

    private void addBias(
        int query, int last, int key, int count, float[] scores, boolean isPartial) {
      int queries = Math.min(width, last - query);
      if (call.bias.length > 0) {
        for (int i = 0; i < queries; i++) {
          int row = call.biasRow(item, head, query + i) + key;
          for (int j = 0; j < count; j++) {
            scores[j * width + i] += call.bias[row + j];
          }
        }
      }
      if (isPartial) {
        for (int i = 0; i < queries; i++) {
          int begin = Math.clamp(call.ranges.begin(item, query + i) - (long) key, 0, count);
          int end = Math.clamp(call.ranges.end(item, query + i) - (long) key, begin, count);
          hide(scores, i, 0, begin);
          hide(scores, i, end, count);
        }
      }
    }

    private void hide(float[] scores, int lane, int begin, int end) {
      for (int j = begin; j < end; j++) {
        scores[j * width + lane] = Float.NEGATIVE_INFINITY;
      }
    }

    private void accumulate(
        float[] weights,
        int count,
        float[] v,
        float[] state,
        int stateAt,
        float[] sums,
        int sumsAt) {
      int factors = stateAt + 2 * width;
      for (int e = 0; e < sumRows; e++) {
        int row = sumsAt + e * width;
        for (int i = 0; i < width; i++) {
          sums[row + i] *= state[factors + i];
        }
      }
      for (int e = 0; e < sumRows; e += Kernels.TILE) {
        kernels.tile(weights, 0, width, count, v, e * KEYS, KEYS, sums, sumsAt + e * width);
      }
    }

    /// A query that has seen nothing gives zeros.
    private void finish(int query, int last, float[] state, int stateAt, float[] sums, int sumsAt) {
      int total = stateAt + width;
      for (int i = 0; i < width; i++) {
        state[total + i] = state[total + i] == 0 ? 0 : 1 / state[total + i];
      }
      for (int e = 0; e < call.valueDim; e++) {
        int row = sumsAt + e * width;
        for (int i = 0; i < width; i++) {
          sums[row + i] *= state[total + i];
        }
      }
      kernels.transpose(
          sums,
          sumsAt,
          width,
          call.valueDim,
          Math.min(width, last - query),
          call.out,
          call.outRow(item, query, head),
          call.heads * call.valueDim);
    }
  }
}
