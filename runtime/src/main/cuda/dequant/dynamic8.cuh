// bitsandbytes' dynamic 8-bit map: 256 values and an absmax a block. Reference: DynamicInt8.
#pragma once

#include "dequant/weight.cuh"

namespace nibble {

struct Dynamic8 : Scaled {
  static constexpr int kBits = 8;

  struct Values {
    float codebook[256];

    __device__ void load(const Weight& weight) {
      if (threadIdx.x < 256) {
        codebook[threadIdx.x] = weight.codebook[threadIdx.x];
      }
    }
  };
  using Pairs = Values;

  template <int kCount>
  __device__ static float value(const Values& values, const Codes<8, kCount>& codes, int i, float) {
    return values.codebook[codes.byte(i)];
  }

  template <int kCount>
  __device__ static uint32_t pair(const Pairs& pairs, const Codes<8, kCount>& codes, int i, float) {
    return pack_bf16(pairs.codebook[codes.byte(2 * i)], pairs.codebook[codes.byte(2 * i + 1)]);
  }
};

}  // namespace nibble
