// out[m, n] = x[m, k] · W[n, k]ᵀ + bias for few rows of x, straight from the codes of W.
//
// Idea: the codes are read once, at the speed of memory; the arithmetic must keep out of the way. A tensor
// core product takes 16 rows of W as its A and up to 8 rows of x as its B, so 8 rows cost what one does,
// and codes become bf16 pairs in registers without ever being numbers in memory. The order of k within a
// product is free as long as A and B agree: each lane takes 16 neighbouring codes of a row, one load, and
// 16 neighbouring numbers of x. Scales meet the float32 sums once a block, not the codes.
// A block of 16 warps takes 16 rows of W; its warps share out k in chunks of 64 (4 lanes of 16 codes), each
// some chunks ahead with its loads; their sums meet in shared memory.
// Floor: bytes of W over the copy bandwidth. NF4 3840x3840 with double quantization: 7.6 MB, 2.5 us.
// Reference: Ops.linear. Numbers of W are bf16 before scaling (integers exactly).
//
// Launch: grid (ceil(n / 16), ceil(m / 16)), block 512, dynamic shared memory (ceil(k / g) | 1) · 16
// · sizeof(Scheme::Block) bytes (8 for affine8, else 4), where g = 64, or 32 if block_size is neither a
// multiple of 64 nor of k. x 16-byte aligned, x_stride a multiple of 8, k of 16. Blocks do not cut a chunk:
// block_size is 0, or a multiple of k, or else both k and block_size are multiples of g.
#include <algorithm>
#include <type_traits>

#include "common/mma.cuh"
#include "dequant/schemes.cuh"

namespace nibble {
namespace {

constexpr int kWarps = 16;
constexpr int kRows = 16;     // rows of W
constexpr int kColumns = 16;  // rows of x: one or two tiles of 8

struct Product {
  int m;
  int n;
  int k;
  int x_stride;
  int out_stride;
};

// kCodes neighbouring numbers of a row of x as bf16 pairs.
template <class T, int kCodes>
struct Numbers {
  static constexpr int kWords = kCodes * sizeof(T) / 4;
  uint32_t words[kWords];

  __device__ void load(const T* from) {
    const uint4* vectors = reinterpret_cast<const uint4*>(from);
#pragma unroll
    for (int i = 0; i < kWords / 4; i++) {
      const uint4 v = __ldg(vectors + i);
      words[4 * i] = v.x;
      words[4 * i + 1] = v.y;
      words[4 * i + 2] = v.z;
      words[4 * i + 3] = v.w;
    }
  }

  __device__ void zero() {
#pragma unroll
    for (uint32_t& word : words) {
      word = 0;
    }
  }

  __device__ uint32_t pair(int i) const {
    if constexpr (std::is_same_v<T, float>) {
      return pack_bf16(__uint_as_float(words[2 * i]), __uint_as_float(words[2 * i + 1]));
    } else {
      return words[i];
    }
  }
};

constexpr int ahead(int budget, int registers, int most) {
  return budget >= 4 * registers && most >= 4 ? 4 : budget >= 2 * registers && most >= 2 ? 2 : 1;
}

// The sums of one warp over its chunks.
template <class Scheme, class T, int kTiles, int kCodes>
class WarpProduct {
  using Block = typename Scheme::Block;
  using RowCodes = Codes<Scheme::kBits, kCodes>;
  using RowNumbers = Numbers<T, kCodes>;
  static constexpr int kLength = 4 * kCodes;  // of a chunk along k
  static constexpr int kChunkBytes = kLength * Scheme::kBits / 8;
  // Chunks under way, as many as registers allow: of W from memory, of x from a cache.
  static constexpr int kAhead = ahead(kTiles * sizeof(T) == 2 ? 24 : 8, 2 * RowCodes::kBytes / 4, 4);
  static constexpr int kAheadX = ahead(16, kTiles * RowNumbers::kWords, 2);
  static constexpr int kUnroll = std::max(kAhead, kAheadX);

 public:
  float sums[kTiles][4] = {};

  __device__ WarpProduct(const Weight& weight, const T* x, const Product& p, int first_n, int first_m)
      : warp_(threadIdx.x / 32), k_(p.k), at_(threadIdx.x % 4 * kCodes) {
    const int group = threadIdx.x % 32 / 4;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      // Rows beyond the last are read as the last; nobody keeps what they give.
      const uint32_t row = min(first_n + group + 8 * r, p.n - 1);
      rows_[r] = RowCodes::address(weight, row * p.k + at_);
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++) {
      const int row = first_m + tile * 8 + group;
      x_[tile] = row < p.m ? x + static_cast<int64_t>(row) * p.x_stride + at_ : nullptr;
    }
  }

  // The first chunks' loads, before the tables are there.
  __device__ void start() {
#pragma unroll
    for (int i = 0; i < kAhead; i++) {
      load_codes(w_[i], warp_ + i * kWarps);
    }
#pragma unroll
    for (int i = 0; i < kAheadX; i++) {
      load_numbers(numbers_[i], warp_ + i * kWarps);
    }
  }

  // @param blocks of each chunk, of the lane's rows g and g + 8
  __device__ void run(const typename Scheme::Pairs& pairs, const Block* blocks0, const Block* blocks1) {
    const int chunks = (k_ + kLength - 1) / kLength;
    for (int first = warp_; first < chunks; first += kUnroll * kWarps) {
#pragma unroll
      for (int i = 0; i < kUnroll; i++) {
        const int chunk = first + i * kWarps;
        if (chunk < chunks) {
          RowCodes(&w)[2] = w_[i % kAhead];
          RowNumbers(&numbers)[kTiles] = numbers_[i % kAheadX];
          multiply(w, numbers, pairs, {blocks0[chunk], blocks1[chunk]});
          load_codes(w, chunk + kAhead * kWarps);
          load_numbers(numbers, chunk + kAheadX * kWarps);
        }
      }
    }
  }

 private:
  int warp_;
  int k_;
  int at_;  // of this lane within a chunk
  const uint8_t* rows_[2];
  const T* x_[kTiles];
  RowCodes w_[kAhead][2];
  RowNumbers numbers_[kAheadX][kTiles];

  __device__ bool has(int chunk) const { return chunk * kLength + at_ < k_; }

  __device__ void load_codes(RowCodes (&w)[2], int chunk) const {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      if (has(chunk)) {
        load_streaming(rows_[r] + static_cast<int64_t>(chunk) * kChunkBytes, w[r].words);
      } else {
        w[r].zero();
      }
    }
  }

  __device__ void load_numbers(RowNumbers (&numbers)[kTiles], int chunk) const {
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++) {
      if (has(chunk) && x_[tile] != nullptr) {
        numbers[tile].load(x_[tile] + chunk * kLength);
      } else {
        numbers[tile].zero();
      }
    }
  }

  struct RowBlocks {
    Block of[2];
  };

  __device__ void multiply(const RowCodes (&w)[2], const RowNumbers (&numbers)[kTiles],
                           const typename Scheme::Pairs& pairs, const RowBlocks& blocks) {
    float products[kTiles][4] = {};
#pragma unroll
    for (int step = 0; step < kCodes / 4; step++) {
      const uint32_t a[4] = {Scheme::pair(pairs, w[0], 2 * step, blocks.of[0]),
                             Scheme::pair(pairs, w[1], 2 * step, blocks.of[1]),
                             Scheme::pair(pairs, w[0], 2 * step + 1, blocks.of[0]),
                             Scheme::pair(pairs, w[1], 2 * step + 1, blocks.of[1])};
#pragma unroll
      for (int tile = 0; tile < kTiles; tile++) {
        mma_bf16(products[tile], a, numbers[tile].pair(2 * step), numbers[tile].pair(2 * step + 1));
      }
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        sums[tile][i] += products[tile][i] * Scheme::factor(blocks.of[i / 2]);
      }
    }
  }
};

// The blocks of each chunk of the rows, a warp a row, in shared memory.
template <class Scheme>
class RowBlocks {
  using Block = typename Scheme::Block;
  static constexpr int kFirst = 2;  // a lane's blocks that are read before the table is there

 public:
  __device__ RowBlocks(const Weight& weight, const Product& p, int length, Block* blocks)
      : weight_(weight),
        index_(weight.block_size),
        row_(min(static_cast<int>(blockIdx.x * kRows + threadIdx.x / 32), p.n - 1) * static_cast<uint32_t>(p.k)),
        length_(length),
        chunks_((p.k + length - 1) / length),
        blocks_(blocks) {}

  __device__ void load() {
#pragma unroll
    for (int i = 0; i < kFirst; i++) {
      if (chunk(i) < chunks_) {
        raw_[i] = read(chunk(i));
      }
    }
  }

  // After a barrier.
  __device__ void decode(const typename Scheme::BlockTable& table) {
    Block* mine = const_cast<Block*>(of(threadIdx.x / 32));
#pragma unroll
    for (int i = 0; i < kFirst; i++) {
      if (chunk(i) < chunks_) {
        mine[chunk(i)] = Scheme::block(raw_[i], table, weight_);
      }
    }
#pragma unroll 4
    for (int c = chunk(kFirst); c < chunks_; c += 32) {
      mine[c] = Scheme::block(read(c), table, weight_);
    }
  }

  // After another barrier. Rows begin in different banks.
  __device__ const Block* of(int row) const { return blocks_ + row * (chunks_ | 1); }

 private:
  const Weight& weight_;
  BlockIndex index_;
  uint32_t row_;
  int length_;
  int chunks_;
  Block* blocks_;
  typename Scheme::RawBlock raw_[kFirst];

  __device__ static int chunk(int i) { return i * 32 + threadIdx.x % 32; }

  __device__ typename Scheme::RawBlock read(int chunk) const {
    return Scheme::raw_block(weight_, weight_.block_size == 0 ? 0 : index_(row_ + chunk * length_));
  }
};

template <class Scheme>
struct Shared {
  typename Scheme::BlockTable table;
  union {
    typename Scheme::Pairs pairs;
    float sums[kWarps][kColumns][kRows + 1];  // of the warps, when all have done with the pairs
  };
};

template <class Scheme, class T, int kTiles, int kCodes>
__device__ void multiply_rows(const T* x, const Weight& weight, const Product& p, Shared<Scheme>& shared) {
  extern __shared__ __align__(16) unsigned char dynamic[];
  RowBlocks<Scheme> blocks(weight, p, 4 * kCodes, reinterpret_cast<typename Scheme::Block*>(dynamic));
  WarpProduct<Scheme, T, kTiles, kCodes> product(weight, x, p, blockIdx.x * kRows, blockIdx.y * kColumns);
  const int group = threadIdx.x % 32 / 4;
  const int place = threadIdx.x % 4;
  blocks.load();
  product.start();
  shared.table.load(weight);
  shared.pairs.load(weight);
  __syncthreads();
  blocks.decode(shared.table);
  __syncthreads();
  product.run(shared.pairs, blocks.of(group), blocks.of(group + 8));
  __syncthreads();
#pragma unroll
  for (int tile = 0; tile < kTiles; tile++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      shared.sums[threadIdx.x / 32][tile * 8 + place * 2 + i % 2][group + i / 2 * 8] = product.sums[tile][i];
    }
  }
  __syncthreads();
}

template <class Scheme, class T>
__device__ void gemv(T* out, const T* x, const Weight& weight, const float* bias, const Product& p) {
  __shared__ Shared<Scheme> shared;
  const int columns = min(p.m - static_cast<int>(blockIdx.y) * kColumns, kColumns);
  // A chunk of 64 would span two blocks of 32.
  const bool is_fine = weight.block_size % 64 != 0 && weight.block_size % p.k != 0;
  if (columns <= 8) {
    if (is_fine) {
      multiply_rows<Scheme, T, 1, 8>(x, weight, p, shared);
    } else {
      multiply_rows<Scheme, T, 1, 16>(x, weight, p, shared);
    }
  } else {
    if (is_fine) {
      multiply_rows<Scheme, T, 2, 8>(x, weight, p, shared);
    } else {
      multiply_rows<Scheme, T, 2, 16>(x, weight, p, shared);
    }
  }

  const int column = threadIdx.x / kRows;
  const int row = threadIdx.x % kRows;
  const int n = blockIdx.x * kRows + row;
  if (column < columns && n < p.n) {
    float sum = bias == nullptr ? 0.0f : bias[n];
#pragma unroll
    for (int warp = 0; warp < kWarps; warp++) {
      sum += shared.sums[warp][column][row];
    }
    out[(static_cast<int64_t>(blockIdx.y) * kColumns + column) * p.out_stride + n] = from_float<T>(sum);
  }
}

}  // namespace
}  // namespace nibble

#define ENTRY(name, scheme, type, number)                                                          \
  extern "C" __global__ __launch_bounds__(512, 2) void gemv_##name##_##type(                       \
      number* out,            /* [m, n] */                                                         \
      const number* x,        /* [m, k] */                                                         \
      nibble::Weight weight,  /* [n, k] */                                                         \
      const float* bias,      /* [n] or null */                                                    \
      int m, int n, int k, int x_stride, int out_stride) {                                         \
    nibble::gemv<nibble::scheme>(out, x, weight, bias, {m, n, k, x_stride, out_stride});           \
  }
#define ENTRIES(name, scheme)                 \
  ENTRY(name, scheme, bf16, nibble::bf16)     \
  ENTRY(name, scheme, f32, float)

FOR_EACH_SCHEME(ENTRIES)
