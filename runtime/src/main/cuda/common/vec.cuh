// Loads and stores of up to 16 bytes a thread.
#pragma once

#include "common/dtype.cuh"

namespace nibble {

// 32-bit words read once: past the first-level cache, from memory that no kernel writes meanwhile.
// The address is a multiple of the bytes read, of 16 at most.
template <int kWords>
__device__ void load_streaming(const void* from, uint32_t (&words)[kWords]) {
  if constexpr (kWords == 1) {
    words[0] = __ldcs(static_cast<const uint32_t*>(from));
  } else if constexpr (kWords == 2) {
    const uint2 v = __ldcs(static_cast<const uint2*>(from));
    words[0] = v.x;
    words[1] = v.y;
  } else {
    static_assert(kWords % 4 == 0);
#pragma unroll
    for (int i = 0; i < kWords / 4; i++) {
      const uint4 v = __ldcs(static_cast<const uint4*>(from) + i);
      words[4 * i] = v.x;
      words[4 * i + 1] = v.y;
      words[4 * i + 2] = v.z;
      words[4 * i + 3] = v.w;
    }
  }
}

// 8 numbers to a 16-byte aligned address.
__device__ inline void store8(bf16* to, const float (&x)[8]) {
  *reinterpret_cast<uint4*>(to) = make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]),
                                             pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]));
}

__device__ inline void store8(float* to, const float (&x)[8]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(x[0], x[1], x[2], x[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(x[4], x[5], x[6], x[7]);
}

}  // namespace nibble
