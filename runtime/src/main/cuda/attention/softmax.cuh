// The softmax of attention on scores that lie in registers as tensor core products leave them, and the keys
// that the queries of a block see. Shared by the kernels for mma.sync and for wgmma, whose fragments agree.
#pragma once

#include "attention/shape.cuh"
#include "common/dtype.cuh"

namespace nibble {

constexpr float kLog2E = 1.44269504088896f;

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Over the 4 lanes that hold a row of a fragment.
__device__ inline float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffff, x, 2));
}

__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(0xffffffff, x, 1);
  return x + __shfl_xor_sync(0xffffffff, x, 2);
}

// What each query of a block sees, and what all of them do; in shared memory.
template <int kQueries>
struct BlockRanges {
  KeyRange rows[kQueries];
  int begin;       // the first key that any query sees
  int end;
  int full_begin;  // from here every query sees every key ...
  int full_end;    // ... to here

  // By all threads of the block.
  __device__ void load(const AttentionShape& shape, const int2* ranges, int item, int first) {
    if (threadIdx.x == 0) {
      begin = shape.keys;
      end = 0;
      full_begin = 0;
      full_end = shape.keys;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < kQueries; i += blockDim.x) {
      // Rows beyond the last see what the last does; nobody keeps what they give.
      const KeyRange range = key_range(shape, ranges, item, min(first + i, shape.queries - 1));
      rows[i] = range;
      if (range.begin < range.end) {
        atomicMin(&begin, range.begin);
        atomicMax(&end, range.end);
      }
      atomicMax(&full_begin, range.begin < range.end ? range.begin : shape.keys);
      atomicMin(&full_end, range.end);
    }
    __syncthreads();
  }
};

// Running maxima and sums of a warp's rows (Milakov and Gimelshein, arXiv:1805.02867): kTiles tiles of 16
// rows, against kKeys keys at a time.
template <int kTiles, int kKeys>
class OnlineSoftmax {
 public:
  static constexpr int kKeyTiles = kKeys / 8;
  using Scores = float[kTiles][kKeyTiles][4];

  // @param first_row of the warp within the block
  __device__ explicit OnlineSoftmax(int first_row) : first_row_(first_row), lane_(threadIdx.x % 32) {
#pragma unroll
    for (int i = 0; i < kTiles * 2; i++) {
      largest_[i] = -INFINITY;
      total_[i] = 0;
    }
  }

  // Row within the block of element e of a fragment.
  __device__ int row_of(int tile, int e) const { return first_row_ + tile * 16 + e / 2 * 8 + lane_ / 4; }
  __device__ int column_of(int tile, int e) const { return tile * 8 + lane_ % 4 * 2 + e % 2; }

  // Scaled scores with a bias, in units of log 2.
  // @param bias of the head; query and key are those of the first score of the block
  __device__ void add_bias(Scores& scores, const float* bias, const AttentionShape& shape, int query, int key) const {
#pragma unroll
    for (int i = 0; i < kTiles; i++) {
#pragma unroll
      for (int j = 0; j < kKeyTiles; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int row = min(query + row_of(i, e), shape.queries - 1);
          const int column = min(key + column_of(j, e), shape.keys - 1);
          const float added = bias[static_cast<int64_t>(row) * shape.keys + column];
          scores[i][j][e] = fmaf(scores[i][j][e], shape.scale, added) * kLog2E;
        }
      }
    }
  }

  __device__ void hide(Scores& scores, const KeyRange* ranges, int key) const {
#pragma unroll
    for (int i = 0; i < kTiles; i++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const KeyRange range = ranges[row_of(i, half * 2)];
#pragma unroll
        for (int j = 0; j < kKeyTiles; j++) {
#pragma unroll
          for (int e = half * 2; e < half * 2 + 2; e++) {
            const int column = key + column_of(j, e);
            if (column < range.begin || column >= range.end) {
              scores[i][j][e] = -INFINITY;
            }
          }
        }
      }
    }
  }

  // Scores to weights, 2 to the power of (score - largest) · unit.
  // @param kept what earlier results of each row must be multiplied by
  // @return whether any row of the warp needs that
  __device__ bool soften(Scores& scores, float unit, float (&kept)[kTiles * 2]) {
    bool has_grown = false;
#pragma unroll
    for (int i = 0; i < kTiles * 2; i++) {
      float next = largest_[i];
#pragma unroll
      for (int j = 0; j < kKeyTiles; j++) {
        next = fmaxf(next, fmaxf(scores[i / 2][j][i % 2 * 2], scores[i / 2][j][i % 2 * 2 + 1]));
      }
      next = row_max(next);
      const float base = next == -INFINITY ? 0.0f : next * unit;  // a row that has seen nothing yet
      kept[i] = exp2_fast(fmaf(largest_[i], unit, -base));
      has_grown |= next != largest_[i];
      largest_[i] = next;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kKeyTiles; j++) {
#pragma unroll
        for (int e = i % 2 * 2; e < i % 2 * 2 + 2; e++) {
          scores[i / 2][j][e] = exp2_fast(fmaf(scores[i / 2][j][e], unit, -base));
          sum += scores[i / 2][j][e];
        }
      }
      total_[i] = fmaf(total_[i], kept[i], sum);
    }
    return __any_sync(0xffffffff, has_grown);
  }

  // What a row's results must be multiplied by in the end: zero if it has seen no key.
  __device__ float factor(int row) const {
    const float total = row_sum(total_[row]);
    return total == 0 ? 0.0f : 1.0f / total;
  }

 private:
  int first_row_;
  int lane_;
  float largest_[kTiles * 2];
  float total_[kTiles * 2];  // this lane's part
};

// The weights of 16 keys as the A operand of the next product: fragments are laid out alike.
__device__ inline void pack_weights(uint32_t (&a)[4], const float (&left)[4], const float (&right)[4]) {
  a[0] = pack_bf16(left[0], left[1]);
  a[1] = pack_bf16(left[2], left[3]);
  a[2] = pack_bf16(right[0], right[1]);
  a[3] = pack_bf16(right[2], right[3]);
}

template <int kTiles, int kColumns>
__device__ void rescale(float (&results)[kTiles][kColumns][4], const float (&kept)[kTiles * 2]) {
#pragma unroll
  for (int i = 0; i < kTiles; i++) {
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        results[i][j][e] *= kept[i * 2 + e / 2];
      }
    }
  }
}

// Divides results by their rows' sums and stores them.
// @param out the head's first row of the block
// @param first_column of this warp's results
// @param queries rows from the block's first to the last
template <int kTiles, int kColumns, int kKeys>
__device__ void store_results(bf16* out, const float (&results)[kTiles][kColumns][4], int first_column,
                              const OnlineSoftmax<kTiles, kKeys>& softmax, const AttentionShape& shape, int queries) {
#pragma unroll
  for (int i = 0; i < kTiles * 2; i++) {
    const float factor = softmax.factor(i);
    const int row = softmax.row_of(i / 2, i % 2 * 2);
    if (row < queries) {
#pragma unroll
      for (int j = 0; j < kColumns; j++) {
        const int column = first_column + softmax.column_of(j, 0);
        if (column < shape.value_dim) {
          const float* pair = results[i / 2][j] + i % 2 * 2;
          *reinterpret_cast<uint32_t*>(out + row * shape.out_row + column) =
              pack_bf16(pair[0] * factor, pair[1] * factor);
        }
      }
    }
  }
}

}  // namespace nibble
