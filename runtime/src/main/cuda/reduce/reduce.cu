// Numbers that step caches decide by.
//
// Idea: two stages, in double and in an order that depends on the size alone, so that equal inputs give equal
// decisions, those of the CPU to the last places of a double. Floor: the operands' bytes over the copy bandwidth.
// Reference: dev.nibble.runtime.cpu.Reductions.
#include "../common/numbers.cuh"

using namespace nibble;

namespace {

constexpr int kAbs = 0;
constexpr int kAbsDifference = 1;

template <int W>
__device__ double sumOfThread(
    int kind, const void* a, int aType, const void* b, int bType, int64_t first, int64_t step, int64_t count) {
  double sum = 0;
  for (int64_t i = first; i < count; i += step) {
    float v[W];
    float w[W];
    load<W>(a, aType, i, v);
    if (kind != kAbs) {
      load<W>(b, bType, i, w);
    }
#pragma unroll
    for (int j = 0; j < W; j++) {
      if (kind == kAbs) {
        sum += fabsf(v[j]);
      } else if (kind == kAbsDifference) {
        sum += fabsf(v[j] - w[j]);
      } else {
        sum += static_cast<double>(v[j]) * w[j];
      }
    }
  }
  return sum;
}

}  // namespace

/// Sums of |a|, |a - b| or a · b, one a block.
extern "C" __global__ void __launch_bounds__(kThreads) reduce_sums(
    int kind /* 0: |a|, 1: |a - b|, 2: a · b */,
    const void* a /* [count] */,
    int aType,
    const void* b /* [count] */,
    int bType,
    double* sums /* [gridDim.x] */,
    int64_t count,
    int width) {
  const double sum = width == 8
      ? sumOfThread<8>(kind, a, aType, b, bType, firstOfThread<8>(), stepOfGrid<8>(), count)
      : sumOfThread<1>(kind, a, aType, b, bType, firstOfThread<1>(), stepOfGrid<1>(), count);
  const double total = blockSum(sum);
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = total;
  }
}

/// The sum of the blocks' sums. Grid: one block.
extern "C" __global__ void __launch_bounds__(kThreads) reduce_total(
    const double* sums /* [count] */, int count, double* total /* [1] */) {
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    sum += sums[i];
  }
  sum = blockSum(sum);
  if (threadIdx.x == 0) {
    *total = sum;
  }
}

/// Of each row its Euclidean norm, or the mean of its absolute values. Grid: a block for each row.
extern "C" __global__ void __launch_bounds__(kThreads) reduce_rows(
    int kind /* 0: mean of |x|, 2: norm */,
    const void* x /* [gridDim.x, d] */,
    int xType,
    float* out /* [gridDim.x] */,
    int d,
    int width) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * d;
  const double sum = width == 8
      ? sumOfThread<8>(kind, x, xType, x, xType, begin + threadIdx.x * 8, kThreads * 8, begin + d)
      : sumOfThread<1>(kind, x, xType, x, xType, begin + threadIdx.x, kThreads, begin + d);
  const double total = blockSum(sum);
  if (threadIdx.x == 0) {
    out[blockIdx.x] = static_cast<float>(kind == kAbs ? total / d : sqrt(total));
  }
}

/// Of each feature Σ|x|, max |x| and Σx² over all rows. Grid: a block for each 32 features.
extern "C" __global__ void __launch_bounds__(kThreads) reduce_features(
    const void* x /* [rows, d] */, int xType, float* out /* [3, d] */, int rows, int d) {
  constexpr int kFeatures = 32;
  constexpr int kRows = kThreads / kFeatures;
  __shared__ double absolute[kRows][kFeatures];
  __shared__ double squares[kRows][kFeatures];
  __shared__ float largest[kRows][kFeatures];
  const int lane = threadIdx.x % kFeatures;
  const int first = threadIdx.x / kFeatures;
  const int feature = blockIdx.x * kFeatures + lane;
  double sum = 0;
  double square = 0;
  float most = 0;
  for (int row = first; feature < d && row < rows; row += kRows) {
    float v[1];
    load<1>(x, xType, static_cast<int64_t>(row) * d + feature, v);
    const float value = fabsf(v[0]);
    sum += value;
    square += static_cast<double>(value) * value;
    most = fmaxf(most, value);
  }
  absolute[first][lane] = sum;
  squares[first][lane] = square;
  largest[first][lane] = most;
  __syncthreads();
  if (first == 0 && feature < d) {
    for (int i = 1; i < kRows; i++) {
      sum += absolute[i][lane];
      square += squares[i][lane];
      most = fmaxf(most, largest[i][lane]);
    }
    out[feature] = static_cast<float>(sum);
    out[d + feature] = most;
    out[2 * d + feature] = static_cast<float>(square);
  }
}
