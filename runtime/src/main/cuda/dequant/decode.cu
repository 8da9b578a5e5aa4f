// Decodes a weight, or a slab of its rows, to bf16 or float32.
//
// Idea: a block of threads takes a tile of 8192 elements; its codes are on their way in registers (4
// groups of 8 a thread) while the tile's scales are read, decoded once each, into shared memory. A group
// of 8 results is one 16-byte store, coalesced.
// Floor: bytes of codes + scales + results over the copy bandwidth. NF4 to bf16 at block 64: 2.52 bytes an
// element, 33 us for 10240x3840 at 3.03 TB/s.
// Reference: WeightDecoder.decode; float32 results bit for bit.
//
// Launch: grid ceil(count / 8192), block 256, no dynamic shared memory. `out` 16-byte aligned.
#include "dequant/schemes.cuh"

namespace nibble {
namespace {

constexpr int kThreads = 256;
constexpr int kGroup = 8;   // elements that a thread decodes at once
constexpr int kGroups = 4;  // groups of a thread
constexpr int kTile = kThreads * kGroup * kGroups;
constexpr int kSmallestStaged = 32;  // smaller blocks are read where they are used

// The blocks of a tile in shared memory.
template <class Scheme>
struct TileBlocks {
  typename Scheme::Block blocks[kTile / kSmallestStaged + 1];

  __device__ void load(const Weight& weight, const BlockIndex& index, uint32_t first, uint32_t last) {
    const uint32_t begin = index(first);
    const uint32_t count = index(last) - begin + 1;
    for (uint32_t i = threadIdx.x; i < count; i += kThreads) {
      blocks[i] = Scheme::block(weight, begin + i);
    }
  }
};

template <class Scheme, class Out>
__device__ void decode(Out* out, const Weight& weight, int64_t begin, int64_t count) {
  __shared__ typename Scheme::Values values;
  __shared__ TileBlocks<Scheme> tile;

  const int64_t offset = static_cast<int64_t>(blockIdx.x) * kTile;
  const uint32_t first = static_cast<uint32_t>(begin + offset);
  const int length = static_cast<int>(min(count - offset, static_cast<int64_t>(kTile)));
  Codes<Scheme::kBits, kGroup> codes[kGroups];
#pragma unroll
  for (int i = 0; i < kGroups; i++) {
    const int at = (i * kThreads + threadIdx.x) * kGroup;
    if (at + kGroup <= length) {
      codes[i].load(weight, first + at);
    } else if (at < length) {
      codes[i].load_part(weight, first + at, length - at);
    }
  }

  const BlockIndex index(weight.block_size);
  const bool is_staged = weight.block_size >= kSmallestStaged;
  const bool is_whole = weight.block_size % kGroup == 0;  // a group lies in one block
  values.load(weight);
  if (is_staged) {
    tile.load(weight, index, first, first + length - 1);
  }
  __syncthreads();

  const uint32_t first_block = is_staged ? index(first) : 0;
  const auto block_of = [&](uint32_t element) {
    if (weight.block_size == 0) {
      return Scheme::block(weight, 0);
    }
    return is_staged ? tile.blocks[index(element) - first_block] : Scheme::block(weight, index(element));
  };
#pragma unroll
  for (int i = 0; i < kGroups; i++) {
    const int at = (i * kThreads + threadIdx.x) * kGroup;
    if (at >= length) {
      break;
    }
    float numbers[kGroup];
    auto block = block_of(first + at);
#pragma unroll
    for (int j = 0; j < kGroup; j++) {
      if (!is_whole && at + j < length) {
        block = block_of(first + at + j);
      }
      numbers[j] = Scheme::decoded(Scheme::value(values, codes[i], j, block), block);
    }
    if (at + kGroup <= length) {
      store8(out + offset + at, numbers);
    } else {
#pragma unroll
      for (int j = 0; j < kGroup; j++) {
        if (at + j < length) {
          out[offset + at + j] = from_float<Out>(numbers[j]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace nibble

#define ENTRY(name, scheme, type, out_type)                                                        \
  extern "C" __global__ __launch_bounds__(256, 5) void decode_##name##_##type(                        \
      out_type* out,          /* [count] */                                                        \
      nibble::Weight weight,  /* [N, K] */                                                         \
      int64_t begin, int64_t count) {                                                              \
    nibble::decode<nibble::scheme>(out, weight, begin, count);                                     \
  }
#define ENTRIES(name, scheme)                 \
  ENTRY(name, scheme, bf16, nibble::bf16)     \
  ENTRY(name, scheme, f32, float)

FOR_EACH_SCHEME(ENTRIES)
