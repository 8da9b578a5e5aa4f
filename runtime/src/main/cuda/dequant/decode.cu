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
class TileBlocks {
 public:
  struct Shared {
    typename Scheme::BlockTable table;
    typename Scheme::Block blocks[kTile / kSmallestStaged + 1];
  };

  __device__ TileBlocks(Shared& shared, const Weight& weight, uint32_t first, uint32_t last)
      : shared_(shared),
        weight_(weight),
        index_(weight.block_size),
        is_staged_(weight.block_size >= kSmallestStaged),
        begin_(is_staged_ ? index_(first) : 0),
        count_(is_staged_ ? index_(last) - begin_ + 1 : 0) {}

  // Reads them: at most one a thread, and the one more that a tile inside blocks has.
  __device__ void load() {
    shared_.table.load(weight_);
    if (threadIdx.x < count_) {
      raw_ = Scheme::raw_block(weight_, begin_ + threadIdx.x);
    }
  }

  // After a barrier.
  __device__ void decode() {
    if (threadIdx.x < count_) {
      shared_.blocks[threadIdx.x] = Scheme::block(raw_, shared_.table, weight_);
    }
    if (threadIdx.x == 0 && count_ > kThreads) {
      shared_.blocks[kThreads] = read(begin_ + kThreads);
    }
  }

  // After another barrier.
  __device__ typename Scheme::Block of(uint32_t element) const {
    if (weight_.block_size == 0) {
      return read(0);
    }
    return is_staged_ ? shared_.blocks[index_(element) - begin_] : read(index_(element));
  }

 private:
  Shared& shared_;
  const Weight& weight_;
  BlockIndex index_;
  bool is_staged_;
  uint32_t begin_;
  uint32_t count_;
  typename Scheme::RawBlock raw_;

  __device__ typename Scheme::Block read(uint32_t index) const {
    return Scheme::block(Scheme::raw_block(weight_, index), shared_.table, weight_);
  }
};

template <class Scheme, class Out>
__device__ void decode(Out* out, const Weight& weight, int64_t begin, int64_t count) {
  constexpr int kAhead = Scheme::kBits == 32 ? 1 : kGroups;  // groups that registers hold
  __shared__ typename Scheme::Values values;
  __shared__ typename TileBlocks<Scheme>::Shared shared;

  const int64_t offset = static_cast<int64_t>(blockIdx.x) * kTile;
  const uint32_t first = static_cast<uint32_t>(begin + offset);
  const int length = static_cast<int>(min(count - offset, static_cast<int64_t>(kTile)));
  const auto place = [](int group) { return (group * kThreads + static_cast<int>(threadIdx.x)) * kGroup; };
  TileBlocks<Scheme> blocks(shared, weight, first, first + length - 1);
  blocks.load();
  Codes<Scheme::kBits, kGroup> codes[kAhead];
  const auto load = [&](int from) {
#pragma unroll
    for (int i = 0; i < kAhead; i++) {
      const int at = place(from + i);
      if (at + kGroup <= length) {
        codes[i].load(weight, first + at);
      } else if (at < length) {
        codes[i].load_part(weight, first + at, length - at);
      }
    }
  };
  load(0);
  values.load(weight);
  __syncthreads();
  blocks.decode();
  __syncthreads();

  const bool is_whole = weight.block_size % kGroup == 0;  // a group lies in one block
#pragma unroll
  for (int i = 0; i < kGroups; i++) {
    if (i > 0 && i % kAhead == 0) {
      load(i);
    }
    const int at = place(i);
    if (at >= length) {
      break;
    }
    float numbers[kGroup];
    auto block = blocks.of(first + at);
#pragma unroll
    for (int j = 0; j < kGroup; j++) {
      if (!is_whole && at + j < length) {
        block = blocks.of(first + at + j);
      }
      numbers[j] = Scheme::decoded(Scheme::value(values, codes[i % kAhead], j, block), block);
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
  extern "C" __global__ __launch_bounds__(256, 8) void decode_##name##_##type(                        \
      out_type* out,          /* [count] */                                                        \
      nibble::Weight weight,  /* [N, K] */                                                         \
      int64_t begin, int64_t count) {                                                              \
    nibble::decode<nibble::scheme>(out, weight, begin, count);                                     \
  }
#define ENTRIES(name, scheme)                 \
  ENTRY(name, scheme, bf16, nibble::bf16)     \
  ENTRY(name, scheme, f32, float)

FOR_EACH_SCHEME(ENTRIES)
