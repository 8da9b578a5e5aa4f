// A weight as kernels receive it, and what all schemes share.
//
// A scheme is a type with
//   kBits                          bits of a code
//   RawBlock                       what the codes of a block share, as it lies in memory: raw_block(weight, index)
//   BlockTable                     what turns that into a Block, in shared memory, if anything
//   Block                          scale, zero point: block(raw, table, weight)
//   Values                         its codebook in shared memory, if any
//   value(values, codes, i, block) code i as a number before scaling
//   decoded(number, block)         that number decoded, in the CPU decoder's order of operations
//   Pairs                          its codebook for pairs of bf16, if any; loaded by 512 threads
//   pair(pairs, codes, i, block)   codes 2i and 2i + 1 as two bf16, before scaling
//   factor(block)                  what a sum of products of such numbers is multiplied by
// All threads of a block, 256 or more, call load(weight) of a table; then comes a barrier.
#pragma once

#include "common/vec.cuh"

namespace nibble {

// By value; the launching side writes the same 64 bytes.
struct Weight {
  const void* codes;            // of the scheme, [N, K] flattened
  const void* scale;            // F32 [blocks], or U8 [blocks] with double quantization
  const uint8_t* zero_point;    // U8 [blocks]
  const float* codebook;        // F32 [16] or [256]
  const float* nested_codebook; // F32 [256]
  const float* nested_absmax;   // F32 [ceil(blocks / 256)]
  float nested_offset;
  uint32_t block_size;          // elements of a block; 0 for no scales
  uint32_t code_flip;           // XOR of each code: 0 or 0x80
  uint32_t zero_flip;           // XOR of each zero point
};
static_assert(sizeof(Weight) == 64);

// kCount neighbouring codes of kBits as they lie in memory.
template <int kBits, int kCount>
struct Codes {
  static constexpr int kBytes = kBits * kCount / 8;
  uint32_t words[kBytes / 4];

  // From element `first`, a multiple of kCount.
  __device__ void load(const Weight& weight, uint32_t first) {
    load_streaming(address(weight, first), words);
  }

  // The first `count` codes only; the others are zeros.
  __device__ void load_part(const Weight& weight, uint32_t first, int count) {
    const uint8_t* from = address(weight, first);
    zero();
    const int bytes = (count * kBits + 7) / 8;
#pragma unroll
    for (int i = 0; i < kBytes; i++) {
      if (i < bytes) {
        words[i / 4] |= static_cast<uint32_t>(from[i]) << (i % 4 * 8);
      }
    }
  }

  __device__ void zero() {
#pragma unroll
    for (uint32_t& word : words) {
      word = 0;
    }
  }

  __device__ uint32_t byte(int i) const { return words[i / 4] >> (i % 4 * 8) & 0xff; }

  __device__ static const uint8_t* address(const Weight& weight, uint32_t first) {
    return static_cast<const uint8_t*>(weight.codes) + static_cast<uint64_t>(first) * kBits / 8;
  }
};

// Which block an element is in: a shift where blocks are a power of two.
class BlockIndex {
 public:
  __device__ explicit BlockIndex(uint32_t block_size)
      : size_(block_size), shift_(__popc(block_size) == 1 ? __ffs(block_size) - 1 : -1) {}

  __device__ uint32_t operator()(uint32_t element) const {
    return shift_ >= 0 ? element >> shift_ : element / size_;
  }

 private:
  uint32_t size_;
  int shift_;
};

// Schemes without a codebook.
struct NoTable {
  __device__ void load(const Weight&) {}
};

// Schemes whose codes are numbers and whose blocks have one float32 scale, or none.
struct Scaled {
  using RawBlock = float;
  using BlockTable = NoTable;
  using Block = float;
  using Values = NoTable;
  using Pairs = NoTable;

  __device__ static float raw_block(const Weight& weight, uint32_t index) {
    return weight.block_size == 0 ? 1.0f : static_cast<const float*>(weight.scale)[index];
  }
  __device__ static float block(float raw, const BlockTable&, const Weight&) { return raw; }
  __device__ static float decoded(float number, float scale) { return __fmul_rn(number, scale); }
  __device__ static float factor(float scale) { return scale; }
};

}  // namespace nibble
