// softmax(scale · q · kᵀ + bias) · v per head, bf16 in and out, scores and sums in float32; memory grows with
// the tokens, not with their square.
//
// Idea: FlashAttention-2 (Dao, arXiv:2307.08691) on mma.sync. A block keeps a tile of queries in shared
// memory and walks tiles of keys and values, copied one tile ahead. A warp keeps its rows' scores, running
// maximum and sum (arXiv:1805.02867) and results in registers: scores leave one product in the layout in
// which the next one takes its operand. Results are rescaled only when a maximum of the warp has grown.
// Heads narrower than the entry's width are filled up with zeros; where a row's results are too wide for
// registers, warps share the width of the values and each makes the scores anew.
// Floor: 4 · Tq · Tk · D · H FLOP / tensor peak by mma.sync; keys and values are read once a query tile.
// Reference: Ops.attention, AttentionBias, KeyRanges.
//
// Launch: grid (ceil(queries / kQueries), heads, batch), block kThreads, dynamic shared memory kBytes, as the
// Tiles of each entry below say. All pointers and strides multiples of 16 bytes; dim and value_dim multiples
// of 8 up to the entry's width; scale > 0.
#include "attention/softmax.cuh"
#include "common/async_copy.cuh"
#include "common/dtype.cuh"
#include "common/mma.cuh"

namespace nibble {
namespace {

// kRows queries a warp in kRowWarps warps, times kParts warps that share the width of the values.
template <int kWidth_, int kRows_, int kRowWarps_, int kKeys_, int kParts_>
struct Tiles {
  static constexpr int kWidth = kWidth_;
  static constexpr int kRows = kRows_;
  static constexpr int kRowWarps = kRowWarps_;
  static constexpr int kKeys = kKeys_;
  static constexpr int kParts = kParts_;
  static constexpr int kThreads = kRowWarps * kParts * 32;
  static constexpr int kQueries = kRowWarps * kRows;
  static constexpr int kKeyBytes = kKeys * kWidth * 2;
  static constexpr int kQueryBytes = kQueries * kWidth * 2;
  static constexpr int kBytes = kQueryBytes + 4 * kKeyBytes;
};

// A warp's rows: products of tiles, and results so far.
template <class T>
class WarpRows {
  static constexpr int kTiles = T::kRows / 16;
  static constexpr int kKeyTiles = T::kKeys / 8;
  static constexpr int kValueTiles = T::kWidth / T::kParts / 8;

 public:
  using Softmax = OnlineSoftmax<kTiles, T::kKeys>;
  using Scores = typename Softmax::Scores;

  float results[kTiles][kValueTiles][4] = {};

  // q · kᵀ of a tile of keys.
  __device__ void score(Scores& scores, uint32_t q, uint32_t k) const {
    const TileAddress<T::kQueries> q_rows(q, first_row() + lane() % 16, lane() / 16);
    const TileAddress<T::kKeys> k_rows(k, lane() % 8 + lane() / 16 * 8, lane() / 8 % 2);
#pragma unroll
    for (int i = 0; i < kTiles; i++) {
#pragma unroll
      for (int j = 0; j < kKeyTiles; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          scores[i][j][e] = 0;
        }
      }
    }
#pragma unroll
    for (int step = 0; step < T::kWidth / 16; step++) {
      uint32_t a[kTiles][4];
#pragma unroll
      for (int i = 0; i < kTiles; i++) {
        load_matrices(a[i], q_rows.at(i * 16, step * 2));
      }
#pragma unroll
      for (int j = 0; j < kKeyTiles; j += 2) {
        uint32_t b[4];
        load_matrices(b, k_rows.at(j * 8, step * 2));
#pragma unroll
        for (int i = 0; i < kTiles; i++) {
          mma_bf16(scores[i][j], a[i], b[0], b[1]);
          mma_bf16(scores[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  __device__ void accumulate(const Scores& weights, uint32_t v) {
    const TileAddress<T::kKeys> v_rows(v + first_column() / kPanelColumns * (T::kKeys * kPanelRowBytes), lane() % 16,
                                       lane() / 16);
#pragma unroll
    for (int step = 0; step < T::kKeys / 16; step++) {
      uint32_t a[kTiles][4];
#pragma unroll
      for (int i = 0; i < kTiles; i++) {
        pack_weights(a[i], weights[i][step * 2], weights[i][step * 2 + 1]);
      }
#pragma unroll
      for (int j = 0; j < kValueTiles; j += 2) {
        uint32_t b[4];
        load_matrices_transposed(b, v_rows.at(step * 16, j));
#pragma unroll
        for (int i = 0; i < kTiles; i++) {
          mma_bf16(results[i][j], a[i], b[0], b[1]);
          mma_bf16(results[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  __device__ static int first_row() { return threadIdx.x / 32 % T::kRowWarps * T::kRows; }
  // Of the values.
  __device__ static int first_column() { return threadIdx.x / 32 / T::kRowWarps * (T::kWidth / T::kParts); }

 private:
  __device__ static int lane() { return threadIdx.x % 32; }
};

template <class T>
__device__ void attention(bf16* out, const bf16* q, const bf16* k, const bf16* v, const int2* ranges,
                          const float* bias, const AttentionShape& shape) {
  extern __shared__ __align__(1024) unsigned char tiles[];
  __shared__ BlockRanges<T::kQueries> seen;
  const int first = blockIdx.x * T::kQueries;
  const int head = blockIdx.y;
  const int item = blockIdx.z;
  const int key_head = head / (shape.heads / shape.key_heads);
  const bf16* q_head = q + item * shape.q_item + head * shape.dim;
  const bf16* k_head = k + item * shape.k_item + key_head * shape.dim;
  const bf16* v_head = v + item * shape.v_item + key_head * shape.value_dim;
  const float* bias_head =
      bias == nullptr
          ? nullptr
          : bias + (static_cast<int64_t>(item) * shape.heads + head) * shape.queries * shape.keys;
  const uint32_t queries = shared_address(tiles);
  const auto stage = [&](int tile) { return queries + T::kQueryBytes + tile % 2 * 2 * T::kKeyBytes; };

  const TileCopier<T::kThreads, T::kQueries, T::kWidth> query_copier(shape.q_row, threadIdx.x);
  const TileCopier<T::kThreads, T::kKeys, T::kWidth> key_copier(shape.k_row, threadIdx.x);
  const TileCopier<T::kThreads, T::kKeys, T::kWidth> value_copier(shape.v_row, threadIdx.x);
  query_copier.copy(queries, q_head + first * shape.q_row, shape.queries - first, shape.dim);
  seen.load(shape, ranges, item, first);
  const int first_tile = seen.begin / T::kKeys;
  const int last_tile = (seen.end + T::kKeys - 1) / T::kKeys;
  const auto load = [&](int tile) {
    const int key = tile * T::kKeys;
    key_copier.copy(stage(tile), k_head + key * shape.k_row, shape.keys - key, shape.dim);
    value_copier.copy(stage(tile) + T::kKeyBytes, v_head + key * shape.v_row, shape.keys - key, shape.value_dim);
    commit_copies();
  };
  if (first_tile < last_tile) {
    load(first_tile);
  }

  WarpRows<T> rows;
  typename WarpRows<T>::Softmax softmax(rows.first_row());
  for (int tile = first_tile; tile < last_tile; tile++) {
    wait_copies<0>();
    __syncthreads();
    if (tile + 1 < last_tile) {
      load(tile + 1);  // to the stage that all warps have left
    }
    const int key = tile * T::kKeys;
    typename WarpRows<T>::Scores scores;
    rows.score(scores, queries, stage(tile));
    if (bias_head != nullptr) {
      softmax.add_bias(scores, bias_head, shape, first, key);
    }
    if (key < seen.full_begin || key + T::kKeys > seen.full_end) {
      softmax.hide(scores, seen.rows, key);
    }
    float kept[T::kRows / 8];
    if (softmax.soften(scores, bias_head != nullptr ? 1.0f : shape.scale * kLog2E, kept)) {
      rescale(rows.results, kept);
    }
    rows.accumulate(scores, stage(tile) + T::kKeyBytes);
  }
  wait_copies<0>();
  store_results(out + item * shape.out_item + first * shape.out_row + head * shape.value_dim, rows.results,
                rows.first_column(), softmax, shape, shape.queries - first);
}

using Width64 = Tiles<64, 32, 4, 64, 1>;
using Width128 = Tiles<128, 32, 4, 64, 1>;
using Width256 = Tiles<256, 16, 4, 32, 1>;
using Width512 = Tiles<512, 16, 4, 16, 2>;
static_assert(Width64::kQueries == 128 && Width64::kThreads == 128 && Width64::kBytes == 49152);
static_assert(Width128::kQueries == 128 && Width128::kThreads == 128 && Width128::kBytes == 98304);
static_assert(Width256::kQueries == 64 && Width256::kThreads == 128 && Width256::kBytes == 98304);
static_assert(Width512::kQueries == 64 && Width512::kThreads == 256 && Width512::kBytes == 131072);

}  // namespace
}  // namespace nibble

#define ENTRY(name, tiles, blocks)                                                                 \
  extern "C" __global__ __launch_bounds__(nibble::tiles::kThreads, blocks) void name(              \
      nibble::bf16* out,      /* [B, Tq, H, Dv] */                                                 \
      const nibble::bf16* q,  /* [B, Tq, H, D] */                                                  \
      const nibble::bf16* k,  /* [B, Tk, Hkv, D] */                                                \
      const nibble::bf16* v,  /* [B, Tk, Hkv, Dv] */                                               \
      const int2* ranges,     /* [B or 1, Tq] or null */                                           \
      const float* bias,      /* [B, H, Tq, Tk] or null */                                         \
      nibble::AttentionShape shape) {                                                              \
    nibble::attention<nibble::tiles>(out, q, k, v, ranges, bias, shape);                           \
  }

ENTRY(attention_bf16_d64, Width64, 2)
ENTRY(attention_bf16_d128, Width128, 2)
ENTRY(attention_bf16_d256, Width256, 2)
ENTRY(attention_bf16_d512, Width512, 1)
