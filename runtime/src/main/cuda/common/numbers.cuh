// Numbers in device memory, float32 or bfloat16, as float32 in registers.
//
// The type of an operand is a kernel argument, not a template parameter: every thread of a launch takes the same
// branch, which costs nothing beside the access to memory, and one entry point serves every mix of types. The width
// of an access is a template parameter: 8 numbers where rows and addresses allow 16-byte accesses, else 1.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace nibble {

constexpr int kThreads = 256;

// Types of an operand.
constexpr int kF32 = 0;
constexpr int kBf16 = 1;

/// Numbers [at, at + W) of an array; for W = 8 its address is a multiple of 16 bytes and `at` of 8.
template <int W>
__device__ __forceinline__ void load(const void* array, int type, int64_t at, float (&v)[W]) {
  if (type == kBf16) {
    const __nv_bfloat16* p = static_cast<const __nv_bfloat16*>(array) + at;
    if constexpr (W == 8) {
      const uint4 raw = *reinterpret_cast<const uint4*>(p);
      const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
      for (int i = 0; i < 4; i++) {
        v[2 * i] = __uint_as_float(words[i] << 16);
        v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
      }
    } else {
      v[0] = __bfloat162float(*p);
    }
  } else {
    const float* p = static_cast<const float*>(array) + at;
    if constexpr (W == 8) {
      const float4 a = reinterpret_cast<const float4*>(p)[0];
      const float4 b = reinterpret_cast<const float4*>(p)[1];
      v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
      v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
    } else {
      v[0] = *p;
    }
  }
}

/// Writes numbers [at, at + W); alignment as for `load`.
template <int W>
__device__ __forceinline__ void store(void* array, int type, int64_t at, const float (&v)[W]) {
  if (type == kBf16) {
    __nv_bfloat16* p = static_cast<__nv_bfloat16*>(array) + at;
    if constexpr (W == 8) {
      __nv_bfloat162 pairs[4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        pairs[i] = __floats2bfloat162_rn(v[2 * i], v[2 * i + 1]);
      }
      *reinterpret_cast<uint4*>(p) = *reinterpret_cast<const uint4*>(pairs);
    } else {
      *p = __float2bfloat16_rn(v[0]);
    }
  } else {
    float* p = static_cast<float*>(array) + at;
    if constexpr (W == 8) {
      reinterpret_cast<float4*>(p)[0] = make_float4(v[0], v[1], v[2], v[3]);
      reinterpret_cast<float4*>(p)[1] = make_float4(v[4], v[5], v[6], v[7]);
    } else {
      *p = v[0];
    }
  }
}

/// First number of this thread in a loop over `count` numbers, W at a time, and the step of the loop.
template <int W>
__device__ __forceinline__ int64_t firstOfThread() {
  return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * W;
}

template <int W>
__device__ __forceinline__ int64_t stepOfGrid() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x * W;
}

/// x / (1 + e^-x).
__device__ __forceinline__ float silu(float x) { return x / (1.0f + expf(-x)); }

/// The sum over LANES neighbouring lanes, in each of them; always in the same order.
template <int LANES, typename T>
__device__ __forceinline__ T laneSum(T value) {
#pragma unroll
  for (int offset = LANES / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  return value;
}

/// The sum over a block of whole warps, in each thread; always in the same order.
template <typename T>
__device__ __forceinline__ T blockSum(T value) {
  __shared__ T warps[32];
  const int warp = threadIdx.x / 32;
  value = laneSum<32>(value);
  __syncthreads();  // the last sum has been read
  if (threadIdx.x % 32 == 0) {
    warps[warp] = value;
  }
  __syncthreads();
  const int count = blockDim.x / 32;
  T sum = 0;
  for (int i = 0; i < count; i++) {
    sum += warps[i];
  }
  return sum;
}

}  // namespace nibble
