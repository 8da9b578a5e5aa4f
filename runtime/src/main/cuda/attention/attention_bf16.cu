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
#include "attention/shape.cuh"
#include "common/async_copy.cuh"
#include "common/dtype.cuh"
#include "common/mma.cuh"

namespace nibble {
namespace {

constexpr float kLog2E = 1.44269504088896f;

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Over the 4 lanes that hold a row of a fragment.
__device__ inline float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffff, x, 2));
}

__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(0xffffffff, x, 1);
  return x + __shfl_xor_sync(0xffffffff, x, 2);
}

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
  static constexpr int kChunks = kWidth / 8;
  static constexpr int kKeyBytes = kKeys * kWidth * 2;
  static constexpr int kQueryBytes = kQueries * kWidth * 2;
  static constexpr int kBytes = kQueryBytes + 4 * kKeyBytes;
};

// Rows from `first` on to shared memory; zeros beyond `count` rows and `dim` columns.
template <class T, int kRows>
__device__ void load_rows(uint32_t to, const bf16* from, int64_t stride, int first, int count, int dim) {
  constexpr int kEach = kRows * T::kChunks / T::kThreads;
  static_assert(kEach * T::kThreads == kRows * T::kChunks);
#pragma unroll
  for (int i = 0; i < kEach; i++) {
    const int place = i * T::kThreads + threadIdx.x;
    const int row = place / T::kChunks;
    const int chunk = place % T::kChunks;
    const bool valid = first + row < count && chunk * 8 < dim;
    copy_async16(to + swizzled<T::kChunks>(row, chunk),
                 valid ? from + (first + row) * stride + chunk * 8 : from, valid);
  }
}

// What each query of the block sees, and what all of them do.
template <int kQueries>
struct BlockRanges {
  KeyRange rows[kQueries];
  int begin;       // the first key that any query sees
  int end;
  int full_begin;  // from here every query sees every key ...
  int full_end;    // ... to here

  __device__ void load(const AttentionShape& shape, const int2* ranges, int item, int first) {
    if (threadIdx.x == 0) {
      begin = shape.keys;
      end = 0;
      full_begin = 0;
      full_end = shape.keys;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < kQueries; i += blockDim.x) {
      // Rows beyond the last see what the last does; nobody keeps what they give.
      const KeyRange range = key_range(shape, ranges, item, min(first + i, shape.queries - 1));
      rows[i] = range;
      if (range.begin < range.end) {
        atomicMin(&begin, range.begin);
        atomicMax(&end, range.end);
      }
      atomicMax(&full_begin, range.begin < range.end ? range.begin : shape.keys);
      atomicMin(&full_end, range.end);
    }
    __syncthreads();
  }
};

// The state of a warp's rows: their running maximum and sum, and their results so far.
template <class T>
class WarpRows {
  static constexpr int kTiles = T::kRows / 16;
  static constexpr int kScoreTiles = T::kKeys / 8;
  static constexpr int kValueTiles = T::kWidth / T::kParts / 8;
  using Scores = float[kTiles][kScoreTiles][4];

 public:
  __device__ WarpRows()
      : lane_(threadIdx.x % 32),
        first_row_(threadIdx.x / 32 % T::kRowWarps * T::kRows),
        first_chunk_(threadIdx.x / 32 / T::kRowWarps * (T::kChunks / T::kParts)) {
#pragma unroll
    for (int i = 0; i < kTiles * 2; i++) {
      largest_[i] = -INFINITY;
      total_[i] = 0;
    }
  }

  // q · kᵀ of a tile of keys.
  __device__ void score(Scores& scores, uint32_t q, uint32_t k) const {
#pragma unroll
    for (int i = 0; i < kTiles; i++) {
#pragma unroll
      for (int j = 0; j < kScoreTiles; j++) {
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
        load_matrices(a[i], q + swizzled<T::kChunks>(first_row_ + i * 16 + lane_ % 16, step * 2 + lane_ / 16));
      }
#pragma unroll
      for (int j = 0; j < kScoreTiles; j += 2) {
        uint32_t b[4];
        load_matrices(b, k + swizzled<T::kChunks>(j * 8 + lane_ % 8 + lane_ / 16 * 8, step * 2 + lane_ / 8 % 2));
#pragma unroll
        for (int i = 0; i < kTiles; i++) {
          mma_bf16(scores[i][j], a[i], b[0], b[1]);
          mma_bf16(scores[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  // Scores in units of log 2, with the bias.
  __device__ void add_bias(Scores& scores, const float* bias, const AttentionShape& shape, int query, int key) const {
#pragma unroll
    for (int i = 0; i < kTiles; i++) {
#pragma unroll
      for (int j = 0; j < kScoreTiles; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int row = min(query + row_of(i, e), shape.queries - 1);
          const int column = min(key + column_of(j, e), shape.keys - 1);
          const float added = bias[static_cast<int64_t>(row) * shape.keys + column];
          scores[i][j][e] = fmaf(scores[i][j][e], shape.scale, added) * kLog2E;
        }
      }
    }
  }

  __device__ void hide(Scores& scores, const KeyRange* ranges, int key) const {
#pragma unroll
    for (int i = 0; i < kTiles; i++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const KeyRange range = ranges[row_of(i, half * 2)];
#pragma unroll
        for (int j = 0; j < kScoreTiles; j++) {
#pragma unroll
          for (int e = half * 2; e < half * 2 + 2; e++) {
            const int column = key + column_of(j, e);
            if (column < range.begin || column >= range.end) {
              scores[i][j][e] = -INFINITY;
            }
          }
        }
      }
    }
  }

  // Scores to weights, 2 to the power of (score - largest) · unit; what was summed before is rescaled.
  __device__ void soften(Scores& scores, float unit) {
    float kept[kTiles * 2];
    bool has_grown = false;
#pragma unroll
    for (int i = 0; i < kTiles * 2; i++) {
      float next = largest_[i];
#pragma unroll
      for (int j = 0; j < kScoreTiles; j++) {
        next = fmaxf(next, fmaxf(scores[i / 2][j][i % 2 * 2], scores[i / 2][j][i % 2 * 2 + 1]));
      }
      next = row_max(next);
      const float base = next == -INFINITY ? 0.0f : next * unit;  // a row that has seen nothing yet
      kept[i] = exp2_fast(largest_[i] * unit - base);
      has_grown |= next != largest_[i];
      largest_[i] = next;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kScoreTiles; j++) {
#pragma unroll
        for (int e = i % 2 * 2; e < i % 2 * 2 + 2; e++) {
          scores[i / 2][j][e] = exp2_fast(fmaf(scores[i / 2][j][e], unit, -base));
          sum += scores[i / 2][j][e];
        }
      }
      total_[i] = total_[i] * kept[i] + sum;
    }
    if (__any_sync(0xffffffff, has_grown)) {
#pragma unroll
      for (int i = 0; i < kTiles; i++) {
#pragma unroll
        for (int j = 0; j < kValueTiles; j++) {
#pragma unroll
          for (int e = 0; e < 4; e++) {
            results_[i][j][e] *= kept[i * 2 + e / 2];
          }
        }
      }
    }
  }

  __device__ void accumulate(const Scores& weights, uint32_t v) {
#pragma unroll
    for (int step = 0; step < T::kKeys / 16; step++) {
      uint32_t a[kTiles][4];
#pragma unroll
      for (int i = 0; i < kTiles; i++) {
        const float(&left)[4] = weights[i][step * 2];
        const float(&right)[4] = weights[i][step * 2 + 1];
        a[i][0] = pack_bf16(left[0], left[1]);
        a[i][1] = pack_bf16(left[2], left[3]);
        a[i][2] = pack_bf16(right[0], right[1]);
        a[i][3] = pack_bf16(right[2], right[3]);
      }
#pragma unroll
      for (int j = 0; j < kValueTiles; j += 2) {
        uint32_t b[4];
        load_matrices_transposed(
            b, v + swizzled<T::kChunks>(step * 16 + lane_ % 16, first_chunk_ + j + lane_ / 16));
#pragma unroll
        for (int i = 0; i < kTiles; i++) {
          mma_bf16(results_[i][j], a[i], b[0], b[1]);
          mma_bf16(results_[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  // @param out the head's first row of the block
  __device__ void store(bf16* out, const AttentionShape& shape, int queries) {
#pragma unroll
    for (int i = 0; i < kTiles * 2; i++) {
      const float total = row_sum(total_[i]);
      const float factor = total == 0 ? 0.0f : 1.0f / total;
      const int row = row_of(i / 2, i % 2 * 2);
      if (row < queries) {
#pragma unroll
        for (int j = 0; j < kValueTiles; j++) {
          const int column = (first_chunk_ + j) * 8 + lane_ % 4 * 2;
          if (column < shape.value_dim) {
            const float* pair = results_[i / 2][j] + i % 2 * 2;
            *reinterpret_cast<uint32_t*>(out + row * shape.out_row + column) =
                pack_bf16(pair[0] * factor, pair[1] * factor);
          }
        }
      }
    }
  }

 private:
  int lane_;
  int first_row_;
  int first_chunk_;  // of the values
  float largest_[kTiles * 2];
  float total_[kTiles * 2];  // this lane's part
  float results_[kTiles][kValueTiles][4] = {};

  // Within the block, of element e of a fragment.
  __device__ int row_of(int tile, int e) const { return first_row_ + tile * 16 + e / 2 * 8 + lane_ / 4; }
  __device__ int column_of(int tile, int e) const { return tile * 8 + lane_ % 4 * 2 + e % 2; }
};

template <class T>
__device__ void attention(bf16* out, const bf16* q, const bf16* k, const bf16* v, const int2* ranges,
                          const float* bias, const AttentionShape& shape) {
  extern __shared__ __align__(128) unsigned char tiles[];
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

  load_rows<T, T::kQueries>(queries, q_head, shape.q_row, first, shape.queries, shape.dim);
  seen.load(shape, ranges, item, first);
  const int first_tile = seen.begin / T::kKeys;
  const int last_tile = (seen.end + T::kKeys - 1) / T::kKeys;
  const auto load = [&](int tile) {
    load_rows<T, T::kKeys>(stage(tile), k_head, shape.k_row, tile * T::kKeys, shape.keys, shape.dim);
    load_rows<T, T::kKeys>(stage(tile) + T::kKeyBytes, v_head, shape.v_row, tile * T::kKeys, shape.keys,
                           shape.value_dim);
    commit_copies();
  };
  if (first_tile < last_tile) {
    load(first_tile);
  }

  WarpRows<T> rows;
  for (int tile = first_tile; tile < last_tile; tile++) {
    wait_copies<0>();
    __syncthreads();
    if (tile + 1 < last_tile) {
      load(tile + 1);  // to the stage that all warps have left
    }
    const int key = tile * T::kKeys;
    float scores[T::kRows / 16][T::kKeys / 8][4];
    rows.score(scores, queries, stage(tile));
    if (bias_head != nullptr) {
      rows.add_bias(scores, bias_head, shape, first, key);
    }
    if (key < seen.full_begin || key + T::kKeys > seen.full_end) {
      rows.hide(scores, seen.rows, key);
    }
    rows.soften(scores, bias_head != nullptr ? 1.0f : shape.scale * kLog2E);
    rows.accumulate(scores, stage(tile) + T::kKeyBytes);
  }
  wait_copies<0>();
  rows.store(out + item * shape.out_item + first * shape.out_row + head * shape.value_dim, shape,
             shape.queries - first);
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
