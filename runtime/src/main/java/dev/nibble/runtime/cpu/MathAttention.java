package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;

/// Attention as its formula says: all scores of a head, then their softmax, then the weighted sum.
final class MathAttention implements AttentionKernel {
  @Override
  public void run(Machine machine, AttentionCall call) {
    Kernels kernels = machine.kernels();
    machine
        .workers()
        .run(
            call.batch * call.heads,
            machine.scratch(),
            (task, scratch) -> {
              int item = task / call.heads;
              int head = task % call.heads;
              float[] scores = scratch.scores.get(call.queries * call.keys);
              for (int i = 0; i < call.queries; i++) {
                score(kernels, call, item, head, i, scores);
                softmax(scores, i * call.keys, call.keys);
              }
              for (int i = 0; i < call.queries; i++) {
                weigh(call, item, head, i, scores);
              }
            });
  }

  private static void score(
      Kernels kernels, AttentionCall call, int item, int head, int query, float[] scores) {
    int begin = call.ranges.begin(item, query);
    int end = call.ranges.end(item, query);
    int row = query * call.keys;
    int q = call.qRow(item, query, head);
    for (int j = 0; j < call.keys; j++) {
      boolean sees = j >= begin && j < end;
      float score =
          sees
              ? kernels.dot(call.q, q, call.k, call.kRow(item, j, head), call.dim) * call.scale
              : Float.NEGATIVE_INFINITY;
      scores[row + j] =
          call.bias.length == 0 ? score : score + call.bias[call.biasRow(item, head, query) + j];
    }
  }

  private static void softmax(float[] scores, int at, int count) {
    float max = Float.NEGATIVE_INFINITY;
    for (int j = at; j < at + count; j++) {
      max = Math.max(max, scores[j]);
    }
    if (max == Float.NEGATIVE_INFINITY) {
      max = 0;
    }
    double sum = 0;
    for (int j = at; j < at + count; j++) {
      scores[j] = (float) Math.exp(scores[j] - max);
      sum += scores[j];
    }
    float factor = sum == 0 ? 0 : (float) (1 / sum);
    for (int j = at; j < at + count; j++) {
      scores[j] *= factor;
    }
  }

  private static void weigh(AttentionCall call, int item, int head, int query, float[] scores) {
    int to = call.outRow(item, query, head);
    for (int e = 0; e < call.valueDim; e++) {
      call.out[to + e] = 0;
    }
    for (int j = 0; j < call.keys; j++) {
      float weight = scores[query * call.keys + j];
      int from = call.vRow(item, j, head);
      for (int e = 0; e < call.valueDim; e++) {
        call.out[to + e] += weight * call.v[from + e];
      }
    }
  }
}
