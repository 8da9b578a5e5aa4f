// NF4 and FP4 of bitsandbytes (Dettmers et al. 2023, QLoRA): 4-bit codes, the first in the high nibble,
// an absmax a block, which double quantization makes 8 bits itself. Reference: FourBitDecoder.
#pragma once

#include "common/mma.cuh"
#include "dequant/weight.cuh"

namespace nibble {

template <bool kDoubleQuant>
struct FourBitBlocks;

template <>
struct FourBitBlocks<false> : Scaled {};

template <>
struct FourBitBlocks<true> : Scaled {
  struct RawBlock {
    float nested_absmax;
    uint32_t code;
  };

  struct BlockTable {
    float codebook[256];

    __device__ void load(const Weight& weight) {
      if (threadIdx.x < 256) {
        codebook[threadIdx.x] = weight.nested_codebook[threadIdx.x];
      }
    }
  };

  __device__ static RawBlock raw_block(const Weight& weight, uint32_t index) {
    return {weight.nested_absmax[index / 256], static_cast<const uint8_t*>(weight.scale)[index]};
  }
  __device__ static float block(const RawBlock& raw, const BlockTable& table, const Weight& weight) {
    return __fadd_rn(__fmul_rn(table.codebook[raw.code], raw.nested_absmax), weight.nested_offset);
  }
};

template <bool kDoubleQuant>
struct FourBit : FourBitBlocks<kDoubleQuant> {
  static constexpr int kBits = 4;

  // 16 words in 16 banks: look-ups never conflict.
  struct Values {
    float codebook[16];

    __device__ void load(const Weight& weight) {
      if (threadIdx.x < 16) {
        codebook[threadIdx.x] = weight.codebook[threadIdx.x];
      }
    }
  };

  template <int kCount>
  __device__ static float value(const Values& values, const Codes<4, kCount>& codes, int i, float) {
    return values.codebook[codes.words[i / 8] >> (i % 8 / 2 * 8 + (i % 2 == 0 ? 4 : 0)) & 15];
  }

  // Both numbers of each byte, once for every lane, so that a look-up is one access to the lane's bank.
  struct Pairs {
    uint32_t bytes[256][32];

    __device__ void load(const Weight& weight) {
      const int byte = threadIdx.x % 256;
      const int first = threadIdx.x / 256 * 16;
      const uint32_t pair = pack_bf16(weight.codebook[byte >> 4], weight.codebook[byte & 15]);
#pragma unroll
      for (int lane = 0; lane < 16; lane++) {
        bytes[byte][(first + lane + byte) % 32] = pair;
      }
    }
  };

  // An address by hand: a byte permutation and a multiply-add, where the compiler takes two more.
  template <int kCount>
  __device__ static uint32_t pair(const Pairs& pairs, const Codes<4, kCount>& codes, int i, float) {
    const uint32_t column = shared_address(&pairs.bytes[0][threadIdx.x % 32]);
    const uint32_t byte = __byte_perm(codes.words[i / 4], 0, 0x4440 | i % 4);
    uint32_t pair;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(pair) : "r"(column + byte * 128));
    return pair;
  }
};

}  // namespace nibble
