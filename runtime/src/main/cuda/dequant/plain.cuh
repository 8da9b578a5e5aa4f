// Weights that are numbers already.
#pragma once

#include "dequant/weight.cuh"

namespace nibble {

struct PlainBf16 : Scaled {
  static constexpr int kBits = 16;

  template <int kCount>
  __device__ static float value(const Values&, const Codes<16, kCount>& codes, int i, float) {
    const uint32_t word = codes.words[i / 2];
    return __uint_as_float(i % 2 == 0 ? word << 16 : word & 0xffff0000);
  }

  template <int kCount>
  __device__ static uint32_t pair(const Pairs&, const Codes<16, kCount>& codes, int i, float) {
    return codes.words[i];
  }
};

struct PlainF16 : Scaled {
  static constexpr int kBits = 16;

  template <int kCount>
  __device__ static float value(const Values&, const Codes<16, kCount>& codes, int i, float) {
    return to_float(__ushort_as_half(static_cast<uint16_t>(codes.words[i / 2] >> (i % 2 * 16))));
  }

  template <int kCount>
  __device__ static uint32_t pair(const Pairs&, const Codes<16, kCount>& codes, int i, float) {
    return pack_bf16(value({}, codes, 2 * i, 1), value({}, codes, 2 * i + 1, 1));
  }
};

struct PlainF32 : Scaled {
  static constexpr int kBits = 32;

  template <int kCount>
  __device__ static float value(const Values&, const Codes<32, kCount>& codes, int i, float) {
    return __uint_as_float(codes.words[i]);
  }

  template <int kCount>
  __device__ static uint32_t pair(const Pairs&, const Codes<32, kCount>& codes, int i, float) {
    return pack_bf16(value({}, codes, 2 * i, 1), value({}, codes, 2 * i + 1, 1));
  }
};

}  // namespace nibble
