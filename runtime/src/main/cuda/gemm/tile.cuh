// Tiles of a dense product: which one a block makes, and how its sums are stored.
#pragma once

#include "common/dtype.cuh"

namespace nibble {

struct TilePlace {
  int row;
  int column;
};

// The tile of this block, of kRows x kColumns of out[m, n], in a grid of one dimension. Tiles are visited in
// strips of 8 tile rows, so that blocks that run together share operands in the second cache.
template <int kRows, int kColumns>
__device__ TilePlace tile_place(int m, int n) {
  constexpr int kStrip = 8;
  const int tile_rows = (m + kRows - 1) / kRows;
  const int tile_columns = (n + kColumns - 1) / kColumns;
  const int block = blockIdx.x;
  const int strip = block / (kStrip * tile_columns);
  const int strip_rows = min(kStrip, tile_rows - strip * kStrip);
  const int in_strip = block - strip * kStrip * tile_columns;
  return {(strip * kStrip + in_strip % strip_rows) * kRows, in_strip / strip_rows * kColumns};
}

__device__ inline void store2(float* to, float first, float second, bool is_paired, bool has_second) {
  if (is_paired && has_second) {
    *reinterpret_cast<float2*>(to) = make_float2(first, second);
  } else {
    to[0] = first;
    if (has_second) {
      to[1] = second;
    }
  }
}

__device__ inline void store2(bf16* to, float first, float second, bool is_paired, bool has_second) {
  if (is_paired && has_second) {
    *reinterpret_cast<uint32_t*>(to) = pack_bf16(first, second);
  } else {
    to[0] = from_float<bf16>(first);
    if (has_second) {
      to[1] = from_float<bf16>(second);
    }
  }
}

// A warp's fragments of sums, kTiles tiles of 16 rows from `row` on and kColumns of 8 columns from `column` on.
template <int kTiles, int kColumns, class Out>
__device__ void store_tile(const float (&sums)[kTiles][kColumns][4], Out* out, const float* bias, int m, int n,
                           int stride, int row, int column) {
  const int group = threadIdx.x % 32 / 4;
  const int place = threadIdx.x % 4;
  const bool is_paired = stride % 2 == 0 && reinterpret_cast<uintptr_t>(out) % (2 * sizeof(Out)) == 0;
#pragma unroll
  for (int j = 0; j < kColumns; j++) {
    const int at = column + j * 8 + place * 2;
    if (at >= n) {
      break;
    }
    const bool has_second = at + 1 < n;
    const float bias0 = bias == nullptr ? 0.0f : bias[at];
    const float bias1 = bias == nullptr || !has_second ? 0.0f : bias[at + 1];
#pragma unroll
    for (int i = 0; i < kTiles * 2; i++) {
      const int r = row + i * 8 + group;
      if (r < m) {
        const float* pair = sums[i / 2][j] + i % 2 * 2;
        store2(out + static_cast<int64_t>(r) * stride + at, pair[0] + bias0, pair[1] + bias1, is_paired,
               has_second);
      }
    }
  }
}

}  // namespace nibble
