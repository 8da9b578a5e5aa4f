// sum[i, j] += Σ x[row, begin + i] · x[row, j] for j <= begin + i: rows of the Gram matrix of x's features, in float32.
// What is above the diagonal mirrors what is below; tiles that lie above it altogether are left alone.
//
// Idea: gemm_f32's tile of 64 x 64 in shared memory, 4 x 4 sums a thread, the rows of x in ascending order. For the
// exact mode and for machines without cuBLASLt. Reference: Ops.addGram.
//
// Launch: grid (ceil((begin + n) / 64), ceil(n / 64)), block 256, no dynamic shared memory. Any sizes.
#include "../common/numbers.cuh"

using namespace nibble;

namespace {

constexpr int kTile = 64;
constexpr int kDepth = 16;
constexpr int kSide = 4;  // sums of a thread, each way

// 16 rows of x, 64 columns of it; zeros beyond.
using Tile = float[kDepth][kTile];

__device__ void load(Tile& tile, const void* x, int type, int first, int columns, int row, int rows, int d) {
#pragma unroll
  for (int i = 0; i < kTile * kDepth / kThreads; i++) {
    const int number = i * kThreads + threadIdx.x;
    const int step = number / kTile;
    const int column = number % kTile;
    float value[1] = {0.0f};
    if (row + step < rows && first + column < columns) {
      nibble::load<1>(x, type, static_cast<int64_t>(row + step) * d + first + column, value);
    }
    tile[step][column] = value[0];
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads) gram(
    float* sum /* [n, d] */,
    const void* x /* [rows, d] */,
    int xType,
    int rows,
    int d,
    int begin,
    int n) {
  __shared__ Tile left;
  __shared__ Tile right;
  const int firstRow = blockIdx.y * kTile;
  const int firstColumn = blockIdx.x * kTile;
  if (firstColumn > begin + firstRow + kTile - 1) {
    return;
  }
  const int row = threadIdx.x / 16 * kSide;
  const int column = threadIdx.x % 16 * kSide;
  float sums[kSide][kSide] = {};
  for (int at = 0; at < rows; at += kDepth) {
    load(left, x, xType, begin + firstRow, begin + n, at, rows, d);
    load(right, x, xType, firstColumn, begin + n, at, rows, d);
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
      const int r = firstRow + row + i;
      const int c = firstColumn + column + j;
      if (r < n && c < begin + n) {
        sum[static_cast<int64_t>(r) * d + c] += sums[i][j];
      }
    }
  }
}
