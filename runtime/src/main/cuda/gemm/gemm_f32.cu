// out[m, n] = x[m, k] · w[n, k]ᵀ + bias, all in float32: the exact mode, where speed matters little.
//
// Idea: the textbook's tile of 64 x 64 in shared memory, 4 x 4 sums a thread, in ascending order of k.
// Reference: Ops.linear.
//
// Launch: grid (ceil(n / 64), ceil(m / 64)), block 256, no dynamic shared memory. Any sizes.
#include <cstdint>

namespace nibble {
namespace {

constexpr int kTile = 64;
constexpr int kDepth = 16;
constexpr int kSide = 4;  // sums of a thread, each way

// 64 rows of an operand, transposed; zeros beyond it. A row has 4 more so that a column is in many banks.
using Tile = float[kDepth][kTile + 4];

__device__ void load(Tile& tile, const float* rows, int first, int count, int64_t stride, int at, int k) {
#pragma unroll
  for (int i = 0; i < kTile * kDepth / 256; i++) {
    const int number = i * 256 + threadIdx.x;
    const int row = number / kDepth;
    const int column = number % kDepth;
    const bool valid = first + row < count && at + column < k;
    tile[column][row] = valid ? rows[(first + row) * stride + at + column] : 0.0f;
  }
}

}  // namespace
}  // namespace nibble

extern "C" __global__ __launch_bounds__(256) void gemm_f32(
    float* out,         // [m, n]
    const float* x,     // [m, k]
    const float* w,     // [n, k]
    const float* bias,  // [n] or null
    int m, int n, int k, int x_stride, int out_stride) {
  using namespace nibble;
  __shared__ Tile left;
  __shared__ Tile right;
  const int first_row = blockIdx.y * kTile;
  const int first_column = blockIdx.x * kTile;
  const int row = threadIdx.x / 16 * kSide;
  const int column = threadIdx.x % 16 * kSide;
  float sums[kSide][kSide] = {};
  for (int at = 0; at < k; at += kDepth) {
    load(left, x, first_row, m, x_stride, at, k);
    load(right, w, first_column, n, k, at, k);
    __syncthreads();
#pragma unroll
    for (int step = 0; step < kDepth; step++) {
#pragma unroll
      for (int i = 0; i < kSide; i++) {
#pragma unroll
        for (int j = 0; j < kSide; j++) {
          sums[i][j] = fmaf(left[step][row + i], right[step][column + j], sums[i][j]);
        }
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kSide; i++) {
    for (int j = 0; j < kSide; j++) {
      const int r = first_row + row + i;
      const int c = first_column + column + j;
      if (r < m && c < n) {
        out[static_cast<int64_t>(r) * out_stride + c] = sums[i][j] + (bias == nullptr ? 0.0f : bias[c]);
      }
    }
  }
}
