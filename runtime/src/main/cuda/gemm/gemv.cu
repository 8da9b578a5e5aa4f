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
// Launch: grid (ceil(n / 16), ceil(m / 16)), block 256, dynamic shared memory sizeof(Scheme::Block) (8 for
// affine8, else 4) · (16 · k / block_size + 2) bytes, none where block_size is 0. x 16-byte aligned,
// x_stride a multiple of 8, k of 16. Blocks do not cut a chunk: block_size is 0, or a multiple of k, or k
// and block_size are multiples of 64 (of 32, if block_size is less than 64).
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

  Codes<Scheme::kBits, kCodes> w[2];
  Numbers<T, kCodes> x[kTiles];
};

// The sums of one warp over its chunks.
template <class Scheme, class T, int kTiles, int kCodes>
class WarpProduct {
  using Lanes = Chunk<Scheme, T, kTiles, kCodes>;
  static constexpr int kLength = 4 * kCodes;  // of a chunk along k
  // Chunks under way: as many as registers allow.
  static constexpr int kAhead = std::clamp(64 / Lanes::kRegisters, 1, 4);

 public:
  float sums[kTiles][4] = {};

  __device__ WarpProduct(const Weight& weight, const T* x, const Product& p, int first_n, int first_m)
      : weight_(weight), p_(p), warp_(threadIdx.x / 32), place_(threadIdx.x % 4) {
    const int group = threadIdx.x % 32 / 4;
    // Rows beyond the last are read as the last; nobody keeps what they give.
    rows_[0] = static_cast<uint32_t>(min(first_n + group, p.n - 1)) * p.k;
    rows_[1] = static_cast<uint32_t>(min(first_n + group + 8, p.n - 1)) * p.k;
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++) {
      const int row = first_m + tile * 8 + group;
      x_[tile] = row < p.m ? x + static_cast<int64_t>(row) * p.x_stride : nullptr;
    }
  }

  // The first chunks' loads, before the tables are there.
  __device__ void start() {
#pragma unroll
    for (int i = 0; i < kAhead; i++) {
      load(i, warp_ + i * kWarps);
    }
  }

  __device__ void run(const typename Scheme::Pairs& pairs, const typename Scheme::Block* blocks) {
    const BlockIndex index(weight_.block_size);
    const uint32_t first_block = weight_.block_size == 0 ? 0 : index(first_element());
    const int chunks = (p_.k + kLength - 1) / kLength;
    for (int chunk = warp_; chunk < chunks; chunk += kAhead * kWarps) {
#pragma unroll
      for (int i = 0; i < kAhead; i++) {
        const int current = chunk + i * kWarps;
        if (current < chunks) {
          typename Scheme::Block block[2];
#pragma unroll
          for (int r = 0; r < 2; r++) {
            block[r] = weight_.block_size == 0 ? Scheme::block(weight_, 0)
                                               : blocks[index(rows_[r] + current * kLength) - first_block];
          }
          multiply(ahead_[i], pairs, block);
          load(i, current + kAhead * kWarps);
        }
      }
    }
  }

 private:
  const Weight& weight_;
  const Product& p_;
  int warp_;
  int place_;
  uint32_t rows_[2];
  const T* x_[kTiles];
  Lanes ahead_[kAhead];

  __device__ uint32_t first_element() const { return blockIdx.x * kRows * static_cast<uint32_t>(p_.k); }

  __device__ void load(int slot, int chunk) {
    const int k = chunk * kLength + place_ * kCodes;
    Lanes& lanes = ahead_[slot];
    if (k < p_.k) {
      lanes.w[0].load(weight_, rows_[0] + k);
      lanes.w[1].load(weight_, rows_[1] + k);
    } else {
      lanes.w[0].zero();
      lanes.w[1].zero();
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; tile++) {
      if (k < p_.k && x_[tile] != nullptr) {
        lanes.x[tile].load(x_[tile] + k);
      } else {
        lanes.x[tile].zero();
      }
    }
  }

  __device__ void multiply(const Lanes& lanes, const typename Scheme::Pairs& pairs,
                           const typename Scheme::Block (&block)[2]) {
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

template <class Scheme>
__device__ void load_blocks(const Weight& weight, const Product& p, typename Scheme::Block* blocks) {
  if (weight.block_size == 0) {
    return;
  }
  const BlockIndex index(weight.block_size);
  const uint32_t row = blockIdx.x * kRows;
  const uint32_t rows = min(static_cast<uint32_t>(kRows), static_cast<uint32_t>(p.n) - row);
  const uint32_t begin = index(row * p.k);
  const uint32_t count = index((row + rows) * p.k - 1) - begin + 1;
  for (uint32_t i = threadIdx.x; i < count; i += kWarps * 32) {
    blocks[i] = Scheme::block(weight, begin + i);
  }
}

template <class Scheme, class T, int kTiles, int kCodes>
__device__ void multiply_rows(const T* x, const Weight& weight, const Product& p,
                              typename Scheme::Pairs& pairs, Sums& sums) {
  extern __shared__ unsigned char dynamic[];
  auto* blocks = reinterpret_cast<typename Scheme::Block*>(dynamic);

  WarpProduct<Scheme, T, kTiles, kCodes> product(weight, x, p, blockIdx.x * kRows, blockIdx.y * kColumns);
  product.start();
  pairs.load(weight);
  load_blocks<Scheme>(weight, p, blocks);
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
  // A lane's 16 codes would span two blocks of 32.
  const bool is_fine = weight.block_size != 0 && weight.block_size < 64 && weight.block_size % p.k != 0;
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
  extern "C" __global__ __launch_bounds__(256, 2) void gemv_##name##_##type(                       \
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
