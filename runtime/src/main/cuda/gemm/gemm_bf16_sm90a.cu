// out[m, n] = x[m, k] · w[n, k]ᵀ + bias on Hopper: gemm_bf16.cu's results by warpgroup products.
//
// Idea: a warpgroup copies tiles of 128 rows of x and 256 of w, 64 along k, four stages ahead; two others
// multiply, 64 x 256 each, their sums in registers. Copies are of 16 bytes, not by TMA, so that strides need
// no descriptors made on the host.
// Floor: 2·m·n·k / tensor peak.
// Reference: Ops.linear.
//
// Launch: grid ceil(m / 128) · ceil(n / 256), block 384, dynamic shared memory 196608. x and w 16-byte aligned, k
// and x_stride multiples of 8. Machine code for other architectures than sm_90a is empty: there the entries
// are not found.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

#include "common/pipeline.cuh"
#include "gemm/tile.cuh"

namespace nibble {
namespace {

constexpr int kGroups = 2;  // that multiply
constexpr int kTileRows = 128;
constexpr int kTileColumns = 256;
constexpr int kGroupRows = kTileRows / kGroups;
constexpr int kDepth = 64;  // along k of a stage: a panel
constexpr int kStages = 4;

using LeftTile = TileCopier<kGroupThreads, kTileRows, kDepth>;
using RightTile = TileCopier<kGroupThreads, kTileColumns, kDepth>;
constexpr int kStageBytes = LeftTile::kTileBytes + RightTile::kTileBytes;
static_assert(kStages * kStageBytes == 196608 && kDepth == kPanelColumns);

struct Barriers {
  Barrier full[kStages];
  Barrier empty[kStages];
};

// Parity of the phase that is a stage's use number `step / kStages`.
__device__ inline int parity(int step) { return step / kStages & 1; }

template <class Out>
__device__ void gemm(Out* out, const bf16* x, const bf16* w, const float* bias, int m, int n, int k, int x_stride,
                     int out_stride) {
  extern __shared__ __align__(1024) unsigned char dynamic[];
  __shared__ Barriers barriers;
  if (threadIdx.x < kStages) {
    barriers.full[threadIdx.x].init(kGroupThreads);
    barriers.empty[threadIdx.x].init(kGroups * 4);  // a warp arrives when its products are done
    publish_to_wgmma();
  }
  __syncthreads();
  const TilePlace place = tile_place<kTileRows, kTileColumns>(m, n);
  const int steps = (k + kDepth - 1) / kDepth;
  const auto left = [&](int step) { return shared_address(dynamic) + step % kStages * kStageBytes; };
  const auto right = [&](int step) { return left(step) + LeftTile::kTileBytes; };

  if (threadIdx.x < kGroupThreads) {
    give_registers<40>();
    const LeftTile left_tile(x_stride, threadIdx.x);
    const RightTile right_tile(k, threadIdx.x);
    const bf16* x_rows = x + place.row * static_cast<int64_t>(x_stride);
    const bf16* w_rows = w + place.column * static_cast<int64_t>(k);
    Announcer announcer;
    for (int step = 0; step < steps; step++) {
      const int at = step * kDepth;
      announcer.wait_for(barriers.empty[step % kStages], parity(step));
      left_tile.copy(left(step), x_rows + at, m - place.row, k - at);
      right_tile.copy(right(step), w_rows + at, n - place.column, k - at);
      announcer.add(barriers.full[step % kStages]);
    }
    announcer.finish();
  } else {
    take_registers<232>();
    const int group = threadIdx.x / kGroupThreads - 1;
    float sums[1][kTileColumns / 8][4] = {};
    for (int step = 0; step < steps; step++) {
      barriers.full[step % kStages].wait(parity(step));
      pin(sums[0]);
      wgmma_fence();
#pragma unroll
      for (int i = 0; i < kDepth / 16; i++) {
        wgmma_shared(sums[0], matrix_descriptor(left(step) + group * kGroupRows * kPanelRowBytes + i * 32, 0),
                     matrix_descriptor(right(step) + i * 32, 0), true);
      }
      wgmma_commit();
      if (step > 0) {
        wgmma_wait<1>();
        release(barriers.empty[(step - 1) % kStages]);
      }
    }
    wgmma_wait<0>();
    pin(sums[0]);
    store_tile(sums, out, bias, m, n, out_stride, place.row + group * kGroupRows + threadIdx.x / 32 % 4 * 16,
               place.column);
  }
}

}  // namespace
}  // namespace nibble

extern "C" __global__ __launch_bounds__(384, 1) void gemm_bf16_bf16_sm90a(
    nibble::bf16* out,      // [m, n]
    const nibble::bf16* x,  // [m, k]
    const nibble::bf16* w,  // [n, k]
    const float* bias,      // [n] or null
    int m, int n, int k, int x_stride, int out_stride) {
  nibble::gemm(out, x, w, bias, m, n, k, x_stride, out_stride);
}

extern "C" __global__ __launch_bounds__(384, 1) void gemm_bf16_f32_sm90a(
    float* out,             // [m, n]
    const nibble::bf16* x,  // [m, k]
    const nibble::bf16* w,  // [n, k]
    const float* bias,      // [n] or null
    int m, int n, int k, int x_stride, int out_stride) {
  nibble::gemm(out, x, w, bias, m, n, k, x_stride, out_stride);
}

#endif
