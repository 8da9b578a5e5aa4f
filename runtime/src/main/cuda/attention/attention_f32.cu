// softmax(scale · q · kᵀ + bias) · v in float32: the exact mode, where speed matters little.
//
// Idea: a warp takes a query; its lanes share the head's dimensions and walk the keys with a running
// maximum and sum (Milakov and Gimelshein, arXiv:1805.02867). The 8 queries of a block read the same keys.
// Reference: Ops.attention.
//
// Launch: grid (ceil(queries / 8), heads, batch), block 256, no dynamic shared memory. dim and value_dim up
// to 512.
#include "attention/shape.cuh"

namespace nibble {
namespace {

constexpr int kMost = 512 / 32;  // numbers of a head that a lane holds

__device__ float warp_sum(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    x += __shfl_xor_sync(0xffffffff, x, distance);
  }
  return x;
}

}  // namespace
}  // namespace nibble

extern "C" __global__ __launch_bounds__(256) void attention_f32(
    float* out,          // [B, Tq, H, Dv]
    const float* q,      // [B, Tq, H, D]
    const float* k,      // [B, Tk, Hkv, D]
    const float* v,      // [B, Tk, Hkv, Dv]
    const int2* ranges,  // [B or 1, Tq] or null
    const float* bias,   // [B, H, Tq, Tk] or null
    nibble::AttentionShape shape) {
  using namespace nibble;
  const int lane = threadIdx.x % 32;
  const int query = blockIdx.x * 8 + threadIdx.x / 32;
  const int head = blockIdx.y;
  const int item = blockIdx.z;
  if (query >= shape.queries) {
    return;
  }
  const int key_head = head / (shape.heads / shape.key_heads);
  const float* q_row = q + item * shape.q_item + query * shape.q_row + head * shape.dim;
  const float* k_head = k + item * shape.k_item + key_head * shape.dim;
  const float* v_head = v + item * shape.v_item + key_head * shape.value_dim;
  const float* bias_row =
      bias == nullptr
          ? nullptr
          : bias + ((static_cast<int64_t>(item) * shape.heads + head) * shape.queries + query) * shape.keys;

  float mine[kMost];
  float sums[kMost] = {};
#pragma unroll
  for (int i = 0; i < kMost; i++) {
    const int e = i * 32 + lane;
    mine[i] = e < shape.dim ? q_row[e] * shape.scale : 0.0f;
  }
  float largest = -INFINITY;
  float total = 0;
  const KeyRange range = key_range(shape, ranges, item, query);
  for (int key = range.begin; key < range.end; key++) {
    float score = 0;
#pragma unroll
    for (int i = 0; i < kMost; i++) {
      const int e = i * 32 + lane;
      if (e < shape.dim) {
        score = fmaf(mine[i], k_head[key * shape.k_row + e], score);
      }
    }
    score = warp_sum(score) + (bias_row == nullptr ? 0.0f : bias_row[key]);
    const float next = fmaxf(largest, score);
    if (next == -INFINITY) {
      continue;
    }
    const float kept = expf(largest - next);
    const float weight = expf(score - next);
    largest = next;
    total = total * kept + weight;
#pragma unroll
    for (int i = 0; i < kMost; i++) {
      const int e = i * 32 + lane;
      if (e < shape.value_dim) {
        sums[i] = fmaf(weight, v_head[key * shape.v_row + e], sums[i] * kept);
      }
    }
  }
  float* out_row = out + item * shape.out_item + query * shape.out_row + head * shape.value_dim;
  const float factor = total == 0 ? 0.0f : 1.0f / total;
#pragma unroll
  for (int i = 0; i < kMost; i++) {
    const int e = i * 32 + lane;
    if (e < shape.value_dim) {
      out_row[e] = sums[i] * factor;
    }
  }
}
