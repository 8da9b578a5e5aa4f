// softmax(scale · q · kᵀ + bias) · v per head on Hopper: attention_bf16.cu's results by warpgroup products.
//
// Idea: FlashAttention-3 (Shah et al., arXiv:2407.08608) without TMA, so that strides need no descriptors made
// on the host. One warpgroup copies tiles of 128 keys and values two stages ahead; two compute, 64 queries
// each, with scores, weights and results in registers. While a group's softmax runs, the tensor cores have
// its last product of weights and values, and the other group's products: the groups take turns to issue.
// Floor: 4 · Tq · Tk · D · H FLOP / tensor peak.
// Reference: Ops.attention, AttentionBias, KeyRanges.
//
// Launch: grid (ceil(queries / 128), heads, batch), block 384, dynamic shared memory Tiles::kBytes. All
// pointers and strides multiples of 16 bytes; dim and value_dim multiples of 8 up to the entry's width;
// scale > 0. Machine code for other architectures than sm_90a is empty: there the entries are not found.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

#include "attention/softmax.cuh"
#include "common/pipeline.cuh"

namespace nibble {
namespace {

constexpr int kGroups = 2;  // that compute
constexpr int kGroupRows = 64;
constexpr int kQueries = kGroups * kGroupRows;
constexpr int kKeys = 128;
constexpr int kStages = 2;
constexpr int kRows = 128;  // of a tile, of queries or keys
constexpr int kPanelBytes = kRows * kPanelRowBytes;
static_assert(kQueries == kRows && kKeys == kRows);

template <int kWidth_>
struct Tiles {
  static constexpr int kWidth = kWidth_;
  static constexpr int kTileBytes = kWidth / kPanelColumns * kPanelBytes;
  static constexpr int kBytes = (1 + 2 * kStages) * kTileBytes;

  // Addresses in shared memory.
  uint32_t queries;

  __device__ uint32_t keys(int step) const { return queries + (1 + step % kStages * 2) * kTileBytes; }
  __device__ uint32_t values(int step) const { return keys(step) + kTileBytes; }
};

struct Barriers {
  Barrier queries_full;
  Barrier keys_full[kStages];
  Barrier keys_empty[kStages];
  Barrier values_full[kStages];
  Barrier values_empty[kStages];

  __device__ void init() {
    constexpr int kWarps = kGroups * 4;  // a warp arrives when its products are done
    queries_full.init(kGroupThreads);
    for (int i = 0; i < kStages; i++) {
      keys_full[i].init(kGroupThreads);
      keys_empty[i].init(kWarps);
      values_full[i].init(kGroupThreads);
      values_empty[i].init(kWarps);
    }
    publish_to_wgmma();
  }
};

// Parity of the phase that is a stage's use number `step / kStages`.
__device__ inline int parity(int step) { return step / kStages & 1; }

// One of the warpgroups that compute.
template <class T>
class Computer {
 public:
  using Softmax = OnlineSoftmax<1, kKeys>;

  float results[1][T::kWidth / 8][4] = {};
  typename Softmax::Scores scores;

  __device__ Computer(const T& tiles, Barriers& barriers, int group)
      : tiles_(tiles), barriers_(barriers), group_(group) {}

  // Starts q · kᵀ.
  __device__ void start_scores(int step) {
    barriers_.keys_full[step % kStages].wait(parity(step));
    pin(scores[0]);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < T::kWidth / 16; i++) {
      const uint32_t offset = i / 4 * kPanelBytes + i % 4 * 32;
      wgmma_shared(scores[0], matrix_descriptor(tiles_.queries + group_ * kGroupRows * 128 + offset, 0),
                   matrix_descriptor(tiles_.keys(step) + offset, 0), i > 0);
    }
    wgmma_commit();
  }

  // Starts the product of the weights with the values.
  __device__ void start_results(int step) {
    barriers_.values_full[step % kStages].wait(parity(step));
    pin(results[0]);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < kKeys / 16; i++) {
      wgmma_registers(results[0], weights_[i], matrix_descriptor(tiles_.values(step) + i * 16 * 128, kPanelBytes));
    }
    wgmma_commit();
  }

  __device__ void end_scores(int step) {
    pin(scores[0]);
    release(barriers_.keys_empty[step % kStages]);
  }

  __device__ void end_results(int step) {
    pin(results[0]);
    release(barriers_.values_empty[step % kStages]);
  }

  __device__ void keep_weights() {
#pragma unroll
    for (int i = 0; i < kKeys / 16; i++) {
      pack_weights(weights_[i], scores[0][2 * i], scores[0][2 * i + 1]);
    }
  }

  // Groups take turns to start products; the first group begins.
  __device__ void wait_turn() const { sync_numbered(1 + group_, kGroups * kGroupThreads); }
  __device__ void pass_turn() const { arrive_numbered(2 - group_, kGroups * kGroupThreads); }

 private:
  const T& tiles_;
  Barriers& barriers_;
  int group_;
  uint32_t weights_[kKeys / 16][4];
};

template <class T>
__device__ void attention(bf16* out, const bf16* q, const bf16* k, const bf16* v, const int2* ranges,
                          const float* bias, const AttentionShape& shape) {
  extern __shared__ __align__(1024) unsigned char dynamic[];
  __shared__ BlockRanges<kQueries> seen;
  __shared__ Barriers barriers;
  const int first = blockIdx.x * kQueries;
  const int head = blockIdx.y;
  const int item = blockIdx.z;
  const T tiles{shared_address(dynamic)};
  if (threadIdx.x == 0) {
    barriers.init();
  }
  seen.load(shape, ranges, item, first);
  const int first_tile = seen.begin / kKeys;
  const int steps = (seen.end + kKeys - 1) / kKeys - first_tile;

  if (threadIdx.x < kGroupThreads) {
    give_registers<40>();
    const int key_head = head / (shape.heads / shape.key_heads);
    const bf16* k_head = k + item * shape.k_item + key_head * shape.dim;
    const bf16* v_head = v + item * shape.v_item + key_head * shape.value_dim;
    using Tile = TileCopier<kGroupThreads, kRows, T::kWidth>;
    const Tile key_tile(shape.k_row, threadIdx.x);
    const Tile value_tile(shape.v_row, threadIdx.x);
    Announcer announcer;
    Tile(shape.q_row, threadIdx.x)
        .copy(tiles.queries, q + item * shape.q_item + head * shape.dim + first * shape.q_row, shape.queries - first,
              shape.dim);
    announcer.add(barriers.queries_full);
    for (int step = 0; step < steps; step++) {
      const int stage = step % kStages;
      const int key = (first_tile + step) * kKeys;
      announcer.wait_for(barriers.keys_empty[stage], parity(step));
      key_tile.copy(tiles.keys(step), k_head + key * shape.k_row, shape.keys - key, shape.dim);
      announcer.add(barriers.keys_full[stage]);
      announcer.wait_for(barriers.values_empty[stage], parity(step));
      value_tile.copy(tiles.values(step), v_head + key * shape.v_row, shape.keys - key, shape.value_dim);
      announcer.add(barriers.values_full[stage]);
    }
    announcer.finish();
  } else {
    take_registers<232>();
    const int group = threadIdx.x / kGroupThreads - 1;
    const float* bias_head =
        bias == nullptr
            ? nullptr
            : bias + (static_cast<int64_t>(item) * shape.heads + head) * shape.queries * shape.keys;
    const float unit = bias_head != nullptr ? 1.0f : shape.scale * kLog2E;
    Computer<T> computer(tiles, barriers, group);
    typename Computer<T>::Softmax softmax(group * kGroupRows + threadIdx.x / 32 % 4 * 16);
    float kept[2];
    const auto soften = [&](int step) {
      const int key = (first_tile + step) * kKeys;
      if (bias_head != nullptr) {
        softmax.add_bias(computer.scores, bias_head, shape, first, key);
      }
      if (key < seen.full_begin || key + kKeys > seen.full_end) {
        softmax.hide(computer.scores, seen.rows, key);
      }
      return softmax.soften(computer.scores, unit, kept);
    };

    if (group == 1) {
      computer.pass_turn();
    }
    barriers.queries_full.wait(0);
    if (steps > 0) {
      computer.wait_turn();
      computer.start_scores(0);
      computer.pass_turn();
      wgmma_wait<0>();
      computer.end_scores(0);
      soften(0);
      computer.keep_weights();
      for (int step = 1; step < steps; step++) {
        computer.wait_turn();
        computer.start_scores(step);
        computer.start_results(step - 1);
        computer.pass_turn();
        wgmma_wait<1>();
        computer.end_scores(step);
        const bool has_grown = soften(step);
        pin(computer.scores[0]);  // the softmax comes before the wait, beside the products
        wgmma_wait<0>();
        computer.end_results(step - 1);
        if (has_grown) {
          rescale(computer.results, kept);
        }
        computer.keep_weights();
      }
      computer.start_results(steps - 1);
      wgmma_wait<0>();
      computer.end_results(steps - 1);
    }
    if (group == 0) {
      computer.wait_turn();  // the other group's last
    }
    store_results(out + item * shape.out_item + first * shape.out_row + head * shape.value_dim, computer.results, 0,
                  softmax, shape, shape.queries - first);
  }
}

using Width64 = Tiles<64>;
using Width128 = Tiles<128>;
static_assert(Width64::kBytes == 81920 && Width128::kBytes == 163840);

}  // namespace
}  // namespace nibble

#define ENTRY(name, tiles)                                                                         \
  extern "C" __global__ __launch_bounds__(384, 1) void name(                                       \
      nibble::bf16* out,      /* [B, Tq, H, Dv] */                                                 \
      const nibble::bf16* q,  /* [B, Tq, H, D] */                                                  \
      const nibble::bf16* k,  /* [B, Tk, Hkv, D] */                                                \
      const nibble::bf16* v,  /* [B, Tk, Hkv, Dv] */                                               \
      const int2* ranges,     /* [B or 1, Tq] or null */                                           \
      const float* bias,      /* [B, H, Tq, Tk] or null */                                         \
      nibble::AttentionShape shape) {                                                              \
    nibble::attention<nibble::tiles>(out, q, k, v, ranges, bias, shape);                           \
  }

ENTRY(attention_bf16_d64_sm90a, Width64)
ENTRY(attention_bf16_d128_sm90a, Width128)

#endif
