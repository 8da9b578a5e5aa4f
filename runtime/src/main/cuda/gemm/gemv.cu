// out[m, n] = x[m, k] · W[n, k]ᵀ + bias for few rows of x, straight from the codes of W.
//
// Idea: the codes are read once, at the speed of memory; the arithmetic must keep out of the way. A tensor
// core product takes 16 rows of W as its A and up to 8 rows of x as its B, so 8 rows cost what one does,
// and codes become bf16 pairs in registers without ever being numbers in memory. The order of k within a
// product is free as long as A and B agree: each lane takes 16 neighbouring codes of a row, one load, and
// 16 neighbouring numbers of x. Scales meet the float32 sums once a block, not the codes.
// A block of 8 warps takes 16 rows of W; its warps share out k in chunks of 64 (4 lanes of 16 codes), each
// some chunks ahead with its loads; their sums meet in shared memory.
// Floor: bytes of W over the copy bandwidth. NF4 3840x3840 with double quantization: 7.6 MB, 2.5 us.
// Reference: Ops.linear. Numbers of W are bf16 before scaling (integers exactly).
//
// Launch: grid (ceil(n / 16), ceil(m / 16)), block 256, dynamic shared memory ceil(k / g) · 16 ·
// sizeof(Scheme::Block) bytes (8 for affine8, else 4), where g = 64, or 32 if block_size is neither a
// multiple of 64 nor of k. x 16-byte aligned, x_stride a multiple of 8, k of 16. Blocks do not cut a chunk:
// block_size is 0, or a multiple of k, or else both k and block_size are multiples of g.
#include <algorithm>
#include <type_traits>

#include "common/mma.cuh"
#include "dequant/schemes.cuh"

namespace nibble {
namespace {

constexpr int kWarps = 8;
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

// What a lane multiplies in one chunk: codes of two rows of W, numbers of kTiles rows of x.
template <class Scheme, class T, int kTiles, int kCodes>
struct Chunk {
  static constexpr int kRegisters =
      2 * Scheme::kBits * kCodes / 32 + kTiles * Numbers<T, kCodes>::kWords;

  using W = Codes<Scheme::kBits, kCodes>;
  W w[2];
  Numbers<T, kCodes> x[kTiles];
};

// The sums of one warp over its chunks.
template <class Scheme, class T, int kTiles, int kCodes>
class WarpProduct {
  using Lanes = Chunk<Scheme, T, kTiles, kCodes>;
  using Block = typename Scheme::Block;
  static constexpr int kLength = 4 * kCodes;  // of a chunk along k
  static constexpr int kChunkBytes = kLength * Scheme::kBits / 8;
  // Chunks under way: as many as registers allow.
  static constexpr int kAhead = std::clamp(48 / Lanes::kRegisters, 1, 4);

 public:
  float sums[kTiles][4] = {};

  __device__ WarpProduct(const Weight& weight, const T* x, const Product& p, int first_n, int first_m)
      : warp_(threadIdx.x / 32), k_(p.k) {
    const int group = threadIdx.x % 32 / 4;
    const int k = threadIdx.x % 4 * kCodes;
    at_ = k;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      // Rows beyond the last are read as the last; nobody keeps what they give.
      const uint32_t row = min(first_n + group + 8 * r, p.n - 1);
      rows_[r] = Lanes::W::address(weight, row * p.k + k);
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++) {
      const int row = first_m + tile * 8 + group;
      x_[tile] = row < p.m ? x + static_cast<int64_t>(row) * p.x_stride + k : nullptr;
    }
  }

  // The first chunks' loads, before the tables are there.
  __device__ void start() {
#pragma unroll
    for (int i = 0; i < kAhead; i++) {
      load(i, warp_ + i * kWarps);
    }
  }

  // @param blocks [chunks][kRows]
  __device__ void run(const typename Scheme::Pairs& pairs, const Block* blocks) {
    const int chunks = (k_ + kLength - 1) / kLength;
    const Block* mine = blocks + threadIdx.x % 32 / 4;
    for (int chunk = warp_; chunk < chunks; chunk += kAhead * kWarps) {
#pragma unroll
      for (int i = 0; i < kAhead; i++) {
        const int current = chunk + i * kWarps;
        if (current < chunks) {
          const Block block[2] = {mine[current * kRows], mine[current * kRows + 8]};
          multiply(ahead_[i], pairs, block);
          load(i, current + kAhead * kWarps);
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
  Lanes ahead_[kAhead];

  __device__ void load(int slot, int chunk) {
    const bool valid = chunk * kLength + at_ < k_;
    Lanes& lanes = ahead_[slot];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      if (valid) {
        load_streaming(rows_[r] + static_cast<int64_t>(chunk) * kChunkBytes, lanes.w[r].words);
      } else {
        lanes.w[r].zero();
      }
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++) {
      if (valid && x_[tile] != nullptr) {
        lanes.x[tile].load(x_[tile] + chunk * kLength);
      } else {
        lanes.x[tile].zero();
      }
    }
  }

  __device__ void multiply(const Lanes& lanes, const typename Scheme::Pairs& pairs, const Block (&block)[2]) {
    float products[kTiles][4] = {};
#pragma unroll
    for (int step = 0; step < kCodes / 4; step++) {
      const uint32_t a[4] = {Scheme::pair(pairs, lanes.w[0], 2 * step, block[0]),
                             Scheme::pair(pairs, lanes.w[1], 2 * step, block[1]),
                             Scheme::pair(pairs, lanes.w[0], 2 * step + 1, block[0]),
                             Scheme::pair(pairs, lanes.w[1], 2 * step + 1, block[1])};
#pragma unroll
      for (int tile = 0; tile < kTiles; tile++) {
        mma_bf16(products[tile], a, lanes.x[tile].pair(2 * step), lanes.x[tile].pair(2 * step + 1));
      }
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        sums[tile][i] += products[tile][i] * Scheme::factor(block[i / 2]);
      }
    }
  }
};

// Sums of the warps, [warp][row of x][row of W].
using Sums = float[kWarps][kColumns][kRows];

// The block of each chunk of each row, to [chunks][kRows].
template <class Scheme>
__device__ void load_blocks(const Weight& weight, const Product& p, int length, typename Scheme::Block* blocks) {
  const BlockIndex index(weight.block_size);
  const int chunks = (p.k + length - 1) / length;
  const uint32_t row = min(static_cast<int>(blockIdx.x * kRows + threadIdx.x / 16), p.n - 1);
#pragma unroll 4
  for (int chunk = threadIdx.x % 16; chunk < chunks; chunk += 16) {
    const uint32_t block = weight.block_size == 0 ? 0 : index(row * p.k + chunk * length);
    blocks[chunk * kRows + threadIdx.x / 16] = Scheme::block(weight, block);
  }
}

template <class Scheme, class T, int kTiles, int kCodes>
__device__ void multiply_rows(const T* x, const Weight& weight, const Product& p,
                              typename Scheme::Pairs& pairs, Sums& sums) {
  extern __shared__ __align__(16) unsigned char dynamic[];
  auto* blocks = reinterpret_cast<typename Scheme::Block*>(dynamic);

  WarpProduct<Scheme, T, kTiles, kCodes> product(weight, x, p, blockIdx.x * kRows, blockIdx.y * kColumns);
  product.start();
  pairs.load(weight);
  load_blocks<Scheme>(weight, p, 4 * kCodes, blocks);
  __syncthreads();
  product.run(pairs, blocks);

  const int group = threadIdx.x % 32 / 4;
  const int place = threadIdx.x % 4;
#pragma unroll
  for (int tile = 0; tile < kTiles; tile++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      sums[threadIdx.x / 32][tile * 8 + place * 2 + i % 2][group + i / 2 * 8] = product.sums[tile][i];
    }
  }
}

template <class Scheme, class T>
__device__ void gemv(T* out, const T* x, const Weight& weight, const float* bias, const Product& p) {
  __shared__ typename Scheme::Pairs pairs;
  __shared__ Sums sums;
  const int columns = min(p.m - static_cast<int>(blockIdx.y) * kColumns, kColumns);
  // A chunk of 64 would span two blocks of 32.
  const bool is_fine = weight.block_size % 64 != 0 && weight.block_size % p.k != 0;
  if (columns <= 8) {
    if (is_fine) {
      multiply_rows<Scheme, T, 1, 8>(x, weight, p, pairs, sums);
    } else {
      multiply_rows<Scheme, T, 1, 16>(x, weight, p, pairs, sums);
    }
  } else {
    if (is_fine) {
      multiply_rows<Scheme, T, 2, 8>(x, weight, p, pairs, sums);
    } else {
      multiply_rows<Scheme, T, 2, 16>(x, weight, p, pairs, sums);
    }
  }
  __syncthreads();

  const int column = threadIdx.x / kRows;
  const int row = threadIdx.x % kRows;
  const int n = blockIdx.x * kRows + row;
  if (column < columns && n < p.n) {
    float sum = bias == nullptr ? 0.0f : bias[n];
#pragma unroll
    for (int warp = 0; warp < kWarps; warp++) {
      sum += sums[warp][column][row];
    }
    out[(static_cast<int64_t>(blockIdx.y) * kColumns + column) * p.out_stride + n] = from_float<T>(sum);
  }
}

}  // namespace
}  // namespace nibble

#define ENTRY(name, scheme, type, number)                                                          \
  extern "C" __global__ __launch_bounds__(256, 3) void gemv_##name##_##type(                       \
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
