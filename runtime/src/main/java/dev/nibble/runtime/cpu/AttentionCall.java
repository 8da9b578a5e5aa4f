package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.AttentionBias;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.shape.KeyRanges;

/// The arguments of one attention, checked, as arrays and strides.
final class AttentionCall {
  final int batch;
  final int queries;
  final int keys;
  final int heads;
  final int keyHeads;
  final int dim;
  final int valueDim;
  final float scale;
  final KeyRanges ranges;
  final float[] q;
  final int qAt;
  final float[] k;
  final int kAt;
  final float[] v;
  final int vAt;

  /// Added to the scores, `[B, H, Tq, Tk]`; empty for none.
  final float[] bias;

  final int biasAt;
  final float[] out;

  /// @param out `[B, Tq, H, Dv]` from index 0
  AttentionCall(Tensor query, Tensor key, Tensor value, AttentionOptions options, float[] out) {
    batch = query.dim(0);
    queries = query.dim(1);
    heads = query.dim(2);
    dim = query.dim(3);
    keys = key.dim(1);
    keyHeads = key.dim(2);
    valueDim = value.dim(3);
    scale = options.scale().orElse((float) (1 / Math.sqrt(dim)));
    ranges = new KeyRanges(options.bias(), batch, heads, queries, keys);
    q = CpuBuffer.array(query);
    qAt = CpuBuffer.offset(query);
    k = CpuBuffer.array(key);
    kAt = CpuBuffer.offset(key);
    v = CpuBuffer.array(value);
    vAt = CpuBuffer.offset(value);
    if (options.bias() instanceof AttentionBias.Dense(Tensor dense)) {
      bias = CpuBuffer.array(dense);
      biasAt = CpuBuffer.offset(dense);
    } else {
      bias = new float[0];
      biasAt = 0;
    }
    this.out = out;
  }

  /// Where a row of q begins; rows of a head are `heads · dim` apart.
  int qRow(int item, int query, int head) {
    return qAt + ((item * queries + query) * heads + head) * dim;
  }

  /// Where the key's row for a query head begins; its rows are `keyHeads · dim` apart.
  int kRow(int item, int key, int head) {
    return kAt + ((item * keys + key) * keyHeads + head / (heads / keyHeads)) * dim;
  }

  int vRow(int item, int key, int head) {
    return vAt + ((item * keys + key) * keyHeads + head / (heads / keyHeads)) * valueDim;
  }

  int outRow(int item, int query, int head) {
    return ((item * queries + query) * heads + head) * valueDim;
  }

  int biasRow(int item, int head, int query) {
    return biasAt + ((item * heads + head) * queries + query) * keys;
  }
}
