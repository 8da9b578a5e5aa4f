// 8-bit integers with a scale a block or row. References: LlmInt8, AbsmaxInt8, AffineInt8.
#pragma once

#include "dequant/weight.cuh"

namespace nibble {

// Signed codes; 8 bits fit the 8 digits of bf16.
struct AbsmaxInt8 : Scaled {
  static constexpr int kBits = 8;

  template <int kCount>
  __device__ static float value(const Values&, const Codes<8, kCount>& codes, int i, float) {
    return static_cast<float>(static_cast<int8_t>(codes.byte(i)));
  }

  // With b the code's bits: 128 + (b & 127) - (128 or, if negative, 256), exact in bf16.
  template <int kCount>
  __device__ static uint32_t pair(const Pairs&, const Codes<8, kCount>& codes, int i, float) {
    const uint32_t bits = __byte_perm(codes.words[i / 2], 0, i % 2 == 0 ? 0x4140 : 0x4342);
    const uint32_t magnitude = (bits & 0x007f007f) | 0x43004300;
    const uint32_t offset = (bits & 0x00800080) | 0xc300c300;
    const __nv_bfloat162 sum = __hadd2(reinterpret_cast<const __nv_bfloat162&>(magnitude),
                                       reinterpret_cast<const __nv_bfloat162&>(offset));
    return reinterpret_cast<const uint32_t&>(sum);
  }
};

// The scale is 127 times the step.
struct LlmInt8 : AbsmaxInt8 {
  static constexpr float kStep = 1.0f / 127.0f;

  __device__ static float decoded(float number, float scale) {
    return __fmul_rn(__fmul_rn(number, scale), kStep);
  }
  __device__ static float factor(float scale) { return scale * kStep; }
};

// Unsigned codes and zero points, whose difference has 8 digits and a sign.
struct AffineInt8 {
  static constexpr int kBits = 8;
  using BlockTable = NoTable;
  using Values = NoTable;
  using Pairs = NoTable;

  struct Block {
    float scale;
    uint16_t zero_point;
    uint16_t code_flip;
  };
  using RawBlock = Block;

  __device__ static Block raw_block(const Weight& weight, uint32_t index) {
    return {static_cast<const float*>(weight.scale)[index],
            static_cast<uint16_t>(weight.zero_point[index] ^ weight.zero_flip),
            static_cast<uint16_t>(weight.code_flip)};
  }
  __device__ static Block block(Block raw, const BlockTable&, const Weight&) { return raw; }

  template <int kCount>
  __device__ static float value(const Values&, const Codes<8, kCount>& codes, int i, Block block) {
    return static_cast<float>(static_cast<int>(codes.byte(i) ^ block.code_flip) - block.zero_point);
  }

  __device__ static float decoded(float number, Block block) { return __fmul_rn(number, block.scale); }
  __device__ static float factor(Block block) { return block.scale; }

  template <int kCount>
  __device__ static uint32_t pair(const Pairs&, const Codes<8, kCount>& codes, int i, Block block) {
    return pack_bf16(value({}, codes, 2 * i, block), value({}, codes, 2 * i + 1, block));
  }
};

}  // namespace nibble
