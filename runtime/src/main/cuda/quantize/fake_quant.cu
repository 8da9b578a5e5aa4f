// Rows as a layer with 8-bit inputs sees them: each divided by its own scale, rounded, and multiplied again.
//
// Idea: a block a row, once through it for the largest magnitude and once for the result; the second time it comes
// from the cache. Divisions and roundings are those of the CPU, so the results are equal bit for bit. Floor: the bytes
// of x and out over the copy bandwidth. Reference: dev.nibble.runtime.cpu.FakeQuantization.
#include "../common/numbers.cuh"

using namespace nibble;

namespace {

constexpr int kInt8 = 0;

/// The largest number of a block, in each thread.
__device__ float blockMax(float value) {
  __shared__ float warps[kThreads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, offset));
  }
  if (threadIdx.x % 32 == 0) {
    warps[threadIdx.x / 32] = value;
  }
  __syncthreads();
  float most = warps[0];
#pragma unroll
  for (int i = 1; i < kThreads / 32; i++) {
    most = fmaxf(most, warps[i]);
  }
  return most;
}

/// The nearest number of E4M3 to one from -448 to 448, ties to even: a multiple of the step that its exponent has.
__device__ __forceinline__ float roundE4m3(float value) {
  const int exponent = max((__float_as_int(value) >> 23 & 255) - 127, -6);
  const float step = __int_as_float((exponent - 3 + 127) << 23);
  return rintf(__fdiv_rn(value, step)) * step;
}

template <int W>
__device__ void rowBody(const void* x, int xType, int type, void* out, int outType, int d) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * d;
  float most = 0;
  for (int i = threadIdx.x * W; i < d; i += kThreads * W) {
    float v[W];
    load<W>(x, xType, begin + i, v);
#pragma unroll
    for (int j = 0; j < W; j++) {
      most = fmaxf(most, fabsf(v[j]));
    }
  }
  const float largest = type == kInt8 ? 127.0f : 448.0f;
  const float scale = __fdiv_rn(blockMax(most), largest);
  for (int i = threadIdx.x * W; i < d; i += kThreads * W) {
    float v[W];
    load<W>(x, xType, begin + i, v);
#pragma unroll
    for (int j = 0; j < W; j++) {
      const float code = __fdiv_rn(v[j], scale);
      const float rounded = type == kInt8 ? fminf(largest, fmaxf(-largest, rintf(code)))
                                          : roundE4m3(fminf(largest, fmaxf(-largest, code)));
      v[j] = scale == 0.0f ? 0.0f : __fmul_rn(rounded, scale);
    }
    store<W>(out, outType, begin + i, v);
  }
}

}  // namespace

/// Rounds each row to 8 bits and back. Grid: a block for each row.
extern "C" __global__ void __launch_bounds__(kThreads) fake_quant_rows(
    const void* x /* [gridDim.x, d] */,
    int xType,
    int type /* 0: int8, scale = absmax / 127; 1: FP8 E4M3, absmax / 448 */,
    void* out /* as x */,
    int outType,
    int d,
    int width) {
  if (width == 8) {
    rowBody<8>(x, xType, type, out, outType, d);
  } else {
    rowBody<1>(x, xType, type, out, outType, d);
  }
}
