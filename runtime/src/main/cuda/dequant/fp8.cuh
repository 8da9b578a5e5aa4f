// 8-bit floats, E4M3 (finite, OCP "fn") and E5M2, with a scale a block or none. All their values are
// bf16 numbers.
#pragma once

#include <cuda_fp8.h>

#include "dequant/weight.cuh"

namespace nibble {

template <__nv_fp8_interpretation_t kKind>
struct Fp8 : Scaled {
  static constexpr int kBits = 8;

  template <int kCount>
  __device__ static float value(const Values&, const Codes<8, kCount>& codes, int i, float) {
    return to_float(f16(__nv_cvt_fp8_to_halfraw(static_cast<__nv_fp8_storage_t>(codes.byte(i)), kKind)));
  }

  template <int kCount>
  __device__ static uint32_t pair(const Pairs&, const Codes<8, kCount>& codes, int i, float) {
    return pack_bf16(value({}, codes, 2 * i, 1), value({}, codes, 2 * i + 1, 1));
  }
};

using Fp8E4M3 = Fp8<__NV_E4M3>;
using Fp8E5M2 = Fp8<__NV_E5M2>;

}  // namespace nibble
