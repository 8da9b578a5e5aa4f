// Group norm of pictures whose channels lie side by side, with SiLU where it follows.
//
// Idea: blocks sum every channel over a stretch of positions, one block a group turns the sums into a factor and an
// addend for each channel, and a last pass applies them. Sums are float32 over at most 32 positions and double beyond,
// in an order that depends on the shape alone. Floor: x read twice and written once. Reference:
// dev.nibble.runtime.cpu.Norms.group; Wu and He, arXiv:1803.08494.
#include "../common/numbers.cuh"

using namespace nibble;

namespace {

constexpr int kRun = 32;

template <int W>
__device__ void sumsBody(
    const void* x, int xType, double* sums, int positions, int channels, double* shared) {
  const int part = blockIdx.x;
  const int parts = gridDim.x;
  const int item = blockIdx.y;
  const int columns = min(channels / W, kThreads);
  const int lanes = kThreads / columns;
  const int lane = threadIdx.x / columns;
  const int first = static_cast<int>(static_cast<int64_t>(positions) * part / parts);
  const int last = static_cast<int>(static_cast<int64_t>(positions) * (part + 1) / parts);
  double* out = sums + (static_cast<int64_t>(item) * parts + part) * 2 * channels;
  for (int base = 0; base < channels; base += columns * W) {
    const int c = base + threadIdx.x % columns * W;
    double sum[W] = {};
    double squares[W] = {};
    if (lane < lanes && c < channels) {
      for (int begin = first + lane; begin < last; begin += lanes * kRun) {
        float s[W] = {};
        float q[W] = {};
        for (int p = begin; p < min(last, begin + lanes * kRun); p += lanes) {
          float v[W];
          load<W>(x, xType, (static_cast<int64_t>(item) * positions + p) * channels + c, v);
#pragma unroll
          for (int j = 0; j < W; j++) {
            s[j] += v[j];
            q[j] += v[j] * v[j];
          }
        }
#pragma unroll
        for (int j = 0; j < W; j++) {
          sum[j] += s[j];
          squares[j] += q[j];
        }
      }
    }
    for (int square = 0; square < 2; square++) {
      __syncthreads();
#pragma unroll
      for (int j = 0; j < W; j++) {
        shared[threadIdx.x * W + j] = square ? squares[j] : sum[j];
      }
      __syncthreads();
      for (int i = threadIdx.x; i < columns * W && base + i < channels; i += kThreads) {
        double total = 0;
        for (int l = 0; l < lanes; l++) {
          total += shared[(l * columns) * W + i];
        }
        out[square * channels + base + i] = total;
      }
    }
  }
}

template <int W>
__device__ void applyBody(
    const void* x, int xType, const float* factors, int isSilu, void* out, int outType, int64_t count,
    int64_t itemSize, int channels) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    const int64_t at = i / itemSize * 2 * channels + i % channels;
    float v[W];
    float f[W];
    float a[W];
    load<W>(x, xType, i, v);
    load<W>(factors, kF32, at, f);
    load<W>(factors, kF32, at + channels, a);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] = fmaf(v[j], f[j], a[j]);
      if (isSilu) {
        v[j] = silu(v[j]);
      }
    }
    store<W>(out, outType, i, v);
  }
}

}  // namespace

/// Sums and sums of squares of each channel over a stretch of positions. Grid: parts, items.
extern "C" __global__ void __launch_bounds__(kThreads) group_norm_sums(
    const void* x /* [items, positions, channels] */,
    int xType,
    double* sums /* [items, parts, 2, channels] */,
    int positions,
    int channels,
    int width) {
  __shared__ double shared[kThreads * 8];
  if (width == 8) {
    sumsBody<8>(x, xType, sums, positions, channels, shared);
  } else {
    sumsBody<1>(x, xType, sums, positions, channels, shared);
  }
}

/// What each channel is multiplied by, and what is added then. Grid: groups, items.
extern "C" __global__ void __launch_bounds__(kThreads) group_norm_factors(
    const double* sums /* [items, parts, 2, channels] */,
    const float* weight /* [channels] */,
    const float* bias /* [channels] */,
    float* factors /* [items, 2, channels] */,
    int parts,
    int positions,
    int channels,
    float eps) {
  const int size = channels / gridDim.x;
  const int first = blockIdx.x * size;
  double sum = 0;
  double squares = 0;
  for (int i = threadIdx.x; i < parts * size; i += kThreads) {
    const double* part = sums + (static_cast<int64_t>(blockIdx.y) * parts + i / size) * 2 * channels;
    sum += part[first + i % size];
    squares += part[channels + first + i % size];
  }
  const double count = static_cast<double>(positions) * size;
  const double mean = blockSum(sum) / count;
  const double variance = max(0.0, blockSum(squares) / count - mean * mean);
  const double scale = 1 / sqrt(variance + eps);
  for (int c = first + threadIdx.x; c < first + size; c += kThreads) {
    float* out = factors + static_cast<int64_t>(blockIdx.y) * 2 * channels;
    out[c] = static_cast<float>(weight[c] * scale);
    out[channels + c] = static_cast<float>(bias[c] - mean * scale * weight[c]);
  }
}

/// out = x · factor + addend, then SiLU if asked.
extern "C" __global__ void __launch_bounds__(kThreads) group_norm_apply(
    const void* x /* [items, itemSize / channels, channels] */,
    int xType,
    const float* factors /* [items, 2, channels] */,
    int isSilu,
    void* out /* as x */,
    int outType,
    int64_t count,
    int64_t itemSize,
    int channels,
    int width) {
  if (width == 8) {
    applyBody<8>(x, xType, factors, isSilu, out, outType, count, itemSize, channels);
  } else {
    applyBody<1>(x, xType, factors, isSilu, out, outType, count, itemSize, channels);
  }
}
