// Convolution of pictures whose channels lie side by side, as a product without the matrix of patches in memory.
//
// out[m, n] = bias[n] + sum over k of patch[m, k] · weight[n, k]: m is a pixel of the result, k a place of the kernel
// and a channel of x, and patch[m, k] is read from x where it lies, 0 outside. So memory is x, the weight and the
// result, however large the picture.
//
// conv_mma: bfloat16 through tensor cores (mma.sync m16n8k16, float32 sums). A block makes 128 pixels x 128 channels
// with 8 warps of 64 x 32; tiles of 32 steps of k arrive by cp.async, three in flight, and lie swizzled so that
// ldmatrix meets no bank twice. Floor: 2 · pixels · Cout · K FLOPs at the rate of mma.sync, about two thirds of what
// wgmma reaches on sm_90.
// conv_f32: float32 FMAs, 64 x 64 tiles, any sizes and types: the exact mode, and the few layers whose channels are
// no multiple of 8. Floor: FLOPs at the rate of FMA.
// Reference: dev.nibble.runtime.cpu.ConvolutionRows with MatMul. Implicit products: Chetlur et al., arXiv:1410.0759.
#include "../common/numbers.cuh"

using namespace nibble;

namespace {

/// Sizes of a convolution. A product of rows is one of 1 x 1 pixels.
struct Geometry {
  int height;
  int width;
  int channels;
  int outHeight;
  int outWidth;
  int kernel;
  int stride;
  int top;
  int left;
};

constexpr int kTile = 128;
constexpr int kDepth = 32;
constexpr int kStages = 3;
constexpr int kRowBytes = kDepth * 2;
constexpr int kTileBytes = kTile * kRowBytes;

/// Where 8 numbers of a row of a tile lie: the pieces of two rows share the banks, so rows take turns.
__device__ __forceinline__ int swizzled(int row, int piece) {
  return row * kRowBytes + ((piece ^ (row >> 1 & 3)) << 4);
}

__device__ __forceinline__ void copyAsync(uint32_t to, const void* from, bool exists) {
  const int bytes = exists ? 16 : 0;  // the rest becomes zeros
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

__device__ __forceinline__ void loadMatrices(uint32_t (&r)[4], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at));
}

__device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// The copies of one thread: two pieces of 8 numbers of each tile, at the same place of k.
struct Copies {
  const __nv_bfloat16* x;
  const __nv_bfloat16* weight;
  const Geometry& g;
  int depth;
  int piece;
  // The place of k that comes next.
  int k;
  int row;
  int column;
  int channel;
  // Of the two rows.
  const __nv_bfloat16* item[2];
  int y0[2];
  int x0[2];
  bool isPixel[2];
  const __nv_bfloat16* weightRow[2];
  bool isFeature[2];

  __device__ Copies(
      const __nv_bfloat16* x, const __nv_bfloat16* weight, const Geometry& g, int64_t firstPixel, int64_t pixels,
      int firstFeature, int features)
      : x(x), weight(weight), g(g), depth(g.kernel * g.kernel * g.channels), piece(threadIdx.x % 4), k(piece * 8),
        row(0), column(0), channel(piece * 8) {
    wrap();
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int64_t m = firstPixel + threadIdx.x / 4 + 64 * i;
      isPixel[i] = m < pixels;
      const int64_t pixel = isPixel[i] ? m : 0;
      const int64_t line = pixel / g.outWidth;
      y0[i] = static_cast<int>(line % g.outHeight) * g.stride - g.top;
      x0[i] = static_cast<int>(pixel % g.outWidth) * g.stride - g.left;
      item[i] = x + line / g.outHeight * g.height * g.width * g.channels;
      const int n = firstFeature + threadIdx.x / 4 + 64 * i;
      isFeature[i] = n < features;
      weightRow[i] = weight + static_cast<int64_t>(isFeature[i] ? n : 0) * depth;
    }
  }

  __device__ __forceinline__ void wrap() {
    while (channel >= g.channels) {
      channel -= g.channels;
      if (++column == g.kernel) {
        column = 0;
        row++;
      }
    }
  }

  /// Starts the copies of the next kDepth steps.
  __device__ __forceinline__ void next(uint32_t patches, uint32_t weights) {
    const bool isStep = k < depth;
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int r = threadIdx.x / 4 + 64 * i;
      const int py = y0[i] + row;
      const int px = x0[i] + column;
      const bool isInside = isStep && isPixel[i] && py >= 0 && py < g.height && px >= 0 && px < g.width;
      const int64_t from = isInside ? (static_cast<int64_t>(py) * g.width + px) * g.channels + channel : 0;
      copyAsync(patches + swizzled(r, piece), item[i] + from, isInside);
      copyAsync(weights + swizzled(r, piece), weightRow[i] + (isStep ? k : 0), isStep && isFeature[i]);
    }
    k += kDepth;
    channel += kDepth;
    wrap();
  }
};

/// One tile of k: 64 x 32 results of a warp.
__device__ __forceinline__ void tileProduct(
    float (&sums)[4][4][4], uint32_t patches, uint32_t weights, int warpRow, int warpColumn) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int step = 0; step < kDepth / 16; step++) {
    uint32_t a[4][4];
    uint32_t b[2][4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      loadMatrices(a[i], patches + swizzled(warpRow + 16 * i + lane % 16, 2 * step + lane / 16));
    }
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const int feature = warpColumn + 16 * j + lane / 16 * 8 + lane % 8;
      loadMatrices(b[j], weights + swizzled(feature, 2 * step + lane / 8 % 2));
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        multiply(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
      }
    }
  }
}

__device__ __forceinline__ void put(
    void* out, int outType, const float* bias, int64_t m, int64_t pixels, int n, int features, float value) {
  if (m < pixels && n < features) {
    const float v[1] = {value + (bias == nullptr ? 0.0f : bias[n])};
    store<1>(out, outType, m * features + n, v);
  }
}

/// Two neighbouring channels; n is even.
__device__ __forceinline__ void putPair(
    void* out, int outType, const float* bias, int64_t m, int64_t pixels, int n, int features, float v0, float v1) {
  if (features % 2 != 0 || n + 1 >= features || m >= pixels) {
    put(out, outType, bias, m, pixels, n, features, v0);
    put(out, outType, bias, m, pixels, n + 1, features, v1);
    return;
  }
  if (bias != nullptr) {
    v0 += bias[n];
    v1 += bias[n + 1];
  }
  const int64_t at = m * features + n;
  if (outType == kBf16) {
    *reinterpret_cast<__nv_bfloat162*>(static_cast<__nv_bfloat16*>(out) + at) = __floats2bfloat162_rn(v0, v1);
  } else {
    *reinterpret_cast<float2*>(static_cast<float*>(out) + at) = make_float2(v0, v1);
  }
}

}  // namespace

/// Grid: tiles of 128 channels of the result, tiles of 128 pixels.
extern "C" __global__ void __launch_bounds__(kThreads, 2) conv_mma(
    const __nv_bfloat16* x /* [items, height, width, channels], channels a multiple of 8 */,
    const __nv_bfloat16* weight /* [features, kernel, kernel, channels] */,
    const float* bias /* [features], or null */,
    void* out /* [pixels = items · outHeight · outWidth, features] */,
    int outType,
    int64_t pixels,
    int features,
    int height,
    int width,
    int channels,
    int outHeight,
    int outWidth,
    int kernel,
    int stride,
    int top,
    int left) {
  __shared__ __align__(128) char tiles[2 * kStages * kTileBytes];
  const Geometry g = {height, width, channels, outHeight, outWidth, kernel, stride, top, left};
  const int64_t firstPixel = static_cast<int64_t>(blockIdx.y) * kTile;
  const int firstFeature = blockIdx.x * kTile;
  const uint32_t patches = static_cast<uint32_t>(__cvta_generic_to_shared(tiles));
  const uint32_t weights = patches + kStages * kTileBytes;
  const int warp = threadIdx.x / 32;
  const int warpRow = warp / 4 * 64;
  const int warpColumn = warp % 4 * 32;
  Copies copies(x, weight, g, firstPixel, pixels, firstFeature, features);
  const int steps = (copies.depth + kDepth - 1) / kDepth;
  float sums[4][4][4] = {};
  for (int s = 0; s < kStages - 1; s++) {
    if (s < steps) {
      copies.next(patches + s * kTileBytes, weights + s * kTileBytes);
    }
    asm volatile("cp.async.commit_group;");
  }
  int stage = 0;
  for (int s = 0; s < steps; s++) {
    asm volatile("cp.async.wait_group %0;" ::"n"(kStages - 2) : "memory");
    __syncthreads();  // tile s is there, and all have done with the one before
    if (s + kStages - 1 < steps) {
      const int to = (stage + kStages - 1) % kStages;
      copies.next(patches + to * kTileBytes, weights + to * kTileBytes);
    }
    asm volatile("cp.async.commit_group;");
    tileProduct(sums, patches + stage * kTileBytes, weights + stage * kTileBytes, warpRow, warpColumn);
    stage = (stage + 1) % kStages;
  }
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int64_t m = firstPixel + warpRow + 16 * i + lane / 4;
      const int n = firstFeature + warpColumn + 8 * j + lane % 4 * 2;
      putPair(out, outType, bias, m, pixels, n, features, sums[i][j][0], sums[i][j][1]);
      putPair(out, outType, bias, m + 8, pixels, n, features, sums[i][j][2], sums[i][j][3]);
    }
  }
}

/// Grid: tiles of 64 channels of the result, tiles of 64 pixels.
extern "C" __global__ void __launch_bounds__(kThreads) conv_f32(
    const void* x /* [items, height, width, channels] */,
    int xType,
    const void* weight /* [features, kernel, kernel, channels] */,
    int weightType,
    const float* bias /* [features], or null */,
    void* out /* [pixels = items · outHeight · outWidth, features] */,
    int outType,
    int64_t pixels,
    int features,
    int height,
    int width,
    int channels,
    int outHeight,
    int outWidth,
    int kernel,
    int stride,
    int top,
    int left) {
  constexpr int kSize = 64;
  constexpr int kSteps = 16;
  __shared__ float patches[kSteps][kSize + 1];
  __shared__ float weights[kSteps][kSize + 1];
  const int64_t firstPixel = static_cast<int64_t>(blockIdx.y) * kSize;
  const int firstFeature = blockIdx.x * kSize;
  const int depth = kernel * kernel * channels;
  float sums[4][4] = {};
  for (int k0 = 0; k0 < depth; k0 += kSteps) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kSize * kSteps / kThreads; i++) {
      const int k = k0 + threadIdx.x % kSteps;
      const int r = threadIdx.x / kSteps + i * (kThreads / kSteps);
      const int64_t m = firstPixel + r;
      const int n = firstFeature + r;
      float patch[1] = {0};
      float w[1] = {0};
      if (m < pixels && k < depth) {
        const int64_t line = m / outWidth;
        const int y = static_cast<int>(line % outHeight) * stride - top + k / channels / kernel;
        const int column = static_cast<int>(m % outWidth) * stride - left + k / channels % kernel;
        if (y >= 0 && y < height && column >= 0 && column < width) {
          load<1>(x, xType, ((line / outHeight * height + y) * width + column) * channels + k % channels, patch);
        }
      }
      if (n < features && k < depth) {
        load<1>(weight, weightType, static_cast<int64_t>(n) * depth + k, w);
      }
      patches[threadIdx.x % kSteps][r] = patch[0];
      weights[threadIdx.x % kSteps][r] = w[0];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kSteps; k++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
          sums[i][j] += patches[k][threadIdx.x / 16 + 16 * i] * weights[k][threadIdx.x % 16 + 16 * j];
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      put(
          out, outType, bias, firstPixel + threadIdx.x / 16 + 16 * i, pixels,
          firstFeature + threadIdx.x % 16 + 16 * j, features, sums[i][j]);
    }
  }
}
