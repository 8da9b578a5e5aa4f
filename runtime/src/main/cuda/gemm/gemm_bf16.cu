// out[m, n] = x[m, k] · w[n, k]ᵀ + bias in bf16, sums in float32, for machines without cuBLASLt.
//
// Idea: 4 warps make a tile of 128 x 128, each 64 x 64 of it, so that 16 bytes read from shared memory feed
// as many products as registers allow; operands come by asynchronous copies three stages of 64 along k
// ahead, swizzled so that neither copies nor ldmatrix meet in a bank. Two such blocks fit an SM.
// Floor: 2·m·n·k / tensor peak by mma.sync (on sm_90 about 2/3 of what wgmma reaches).
// Reference: Ops.linear.
//
// Launch: grid ceil(m / 128) · ceil(n / 128), block 128, dynamic shared memory 98304. Any sizes; operands
// that are not 16-byte aligned, or of rows that are not multiples of 8, are loaded number by number.
#include "common/async_copy.cuh"
#include "common/mma.cuh"
#include "gemm/tile.cuh"

namespace nibble {
namespace {

constexpr int kThreads = 128;
constexpr int kTile = 128;       // rows and columns of a block's tile
constexpr int kWarpTile = 64;    // of a warp's
constexpr int kDepth = 64;       // along k of a stage
constexpr int kStages = 3;
constexpr int kOperandBytes = kTile * kDepth * 2;
constexpr int kStageBytes = 2 * kOperandBytes;
static_assert(kStages * kStageBytes == 98304);

// The rows of an operand that a block multiplies.
template <bool kAligned>
class Operand {
 public:
  __device__ Operand(const bf16* all, int64_t stride, int first, int total, int depth)
      : copier_(stride, threadIdx.x), rows_(all + first * stride), stride_(stride), count_(total - first), k_(depth) {}

  // Columns from `at` on to a stage; zeros beyond the operand.
  __device__ void load(unsigned char* to, int at) const {
    if constexpr (kAligned) {
      copier_.copy(shared_address(to), rows_ + at, count_, k_ - at);
    } else {
      for (int i = threadIdx.x; i < kTile * kDepth; i += kThreads) {
        const int row = i / kDepth;
        const int column = i % kDepth;
        const bool valid = row < count_ && at + column < k_;
        *reinterpret_cast<bf16*>(to + swizzled(row, column / 8) + column % 8 * 2) =
            valid ? rows_[row * stride_ + at + column] : bf16(0.0f);
      }
    }
  }

 private:
  TileCopier<kThreads, kTile, kDepth> copier_;
  const bf16* rows_;
  int64_t stride_;
  int count_;
  int k_;
};

// A warp's 64 x 64 sums.
struct WarpSums {
  float sums[4][8][4] = {};  // [16 rows][8 columns]

  // 16 columns of both operands.
  struct Fragments {
    uint32_t a[4][4];
    uint32_t b[4][4];  // two tiles of 8 columns each

    __device__ void load(const TileAddress<kTile>& x, const TileAddress<kTile>& w, int step) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        load_matrices(a[i], x.at(i * 16, step * 2));
        load_matrices(b[i], w.at(i * 16, step * 2));
      }
    }
  };

  __device__ void multiply(const Fragments& f) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 8; j++) {
        mma_bf16(sums[i][j], f.a[i], f.b[j / 2][j % 2 * 2], f.b[j / 2][j % 2 * 2 + 1]);
      }
    }
  }

  // A stage, the loads one step ahead of the products.
  __device__ void multiply_stage(const TileAddress<kTile>& x, const TileAddress<kTile>& w) {
    Fragments fragments[2];
    fragments[0].load(x, w, 0);
#pragma unroll
    for (int step = 0; step < kDepth / 16; step++) {
      if (step + 1 < kDepth / 16) {
        fragments[(step + 1) % 2].load(x, w, step + 1);
      }
      multiply(fragments[step % 2]);
    }
  }
};

template <bool kAligned, class Out>
__device__ void multiply_tile(Out* out, const bf16* x, const bf16* w, const float* bias, int m, int n, int k,
                     int x_stride, int out_stride) {
  extern __shared__ __align__(1024) unsigned char stages[];
  const TilePlace place = tile_place<kTile, kTile>(m, n);
  const Operand<kAligned> left(x, x_stride, place.row, m, k);
  const Operand<kAligned> right(w, k, place.column, n, k);
  const int steps = (k + kDepth - 1) / kDepth;
  const auto load = [&](int step) {
    if (step < steps) {
      unsigned char* stage = stages + step % kStages * kStageBytes;
      left.load(stage, step * kDepth);
      right.load(stage + kOperandBytes, step * kDepth);
    }
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; i++) {
    load(i);
  }

  const int warp = threadIdx.x / 32;
  const int row = warp / 2 * kWarpTile;
  const int column = warp % 2 * kWarpTile;
  const int lane = threadIdx.x % 32;
  WarpSums tile;
  for (int step = 0; step < steps; step++) {
    wait_copies<kStages - 2>();
    __syncthreads();
    load(step + kStages - 1);  // to the stage that all warps have left
    const uint32_t stage = shared_address(stages + step % kStages * kStageBytes);
    tile.multiply_stage(
        TileAddress<kTile>(stage, row + lane % 16, lane / 16),
        TileAddress<kTile>(stage + kOperandBytes, column + lane % 8 + lane / 16 * 8, lane / 8 % 2));
  }
  store_tile(tile.sums, out, bias, m, n, out_stride, place.row + row, place.column + column);
}

template <class Out>
__device__ void gemm(Out* out, const bf16* x, const bf16* w, const float* bias, int m, int n, int k,
                     int x_stride, int out_stride) {
  const bool is_aligned = k % 8 == 0 && x_stride % 8 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0 &&
                          reinterpret_cast<uintptr_t>(w) % 16 == 0;
  if (is_aligned) {
    multiply_tile<true>(out, x, w, bias, m, n, k, x_stride, out_stride);
  } else {
    multiply_tile<false>(out, x, w, bias, m, n, k, x_stride, out_stride);
  }
}

}  // namespace
}  // namespace nibble

extern "C" __global__ __launch_bounds__(128, 2) void gemm_bf16_bf16(
    nibble::bf16* out,      // [m, n]
    const nibble::bf16* x,  // [m, k]
    const nibble::bf16* w,  // [n, k]
    const float* bias,      // [n] or null
    int m, int n, int k, int x_stride, int out_stride) {
  nibble::gemm(out, x, w, bias, m, n, k, x_stride, out_stride);
}

extern "C" __global__ __launch_bounds__(128, 2) void gemm_bf16_f32(
    float* out,             // [m, n]
    const nibble::bf16* x,  // [m, k]
    const nibble::bf16* w,  // [n, k]
    const float* bias,      // [n] or null
    int m, int n, int k, int x_stride, int out_stride) {
  nibble::gemm(out, x, w, bias, m, n, k, x_stride, out_stride);
}
