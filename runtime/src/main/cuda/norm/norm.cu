// Norms over rows, fused with what surrounds them in a transformer block.
//
// Idea: a row belongs to 16 lanes (heads) or to a block (tokens), whose registers keep it from its statistics to the
// result, so that memory sees one read and one write. Floor: those bytes over the copy
// bandwidth. Reference: dev.nibble.runtime.cpu.Norms; RMS norm is arXiv:1910.07467, modulation arXiv:2212.09748.
//
// `width` is 8 where every row is a multiple of 8 numbers and every address of 16 bytes, else 1.
#include "../common/numbers.cuh"

using namespace nibble;

namespace {

constexpr int kHeadLanes = 16;

/// The lanes that work on a row: LANES neighbours of a warp, or a whole block.
template <int LANES>
struct Team {
  static constexpr bool kBlock = LANES == kThreads;
  int lane = kBlock ? threadIdx.x : threadIdx.x % LANES;
  int row = kBlock ? blockIdx.x : blockIdx.x * (kThreads / LANES) + threadIdx.x / LANES;

  __device__ __forceinline__ float sum(float value) const {
    if constexpr (kBlock) {
      return blockSum(value);
    } else {
      return laneSum<LANES>(value);
    }
  }
};

/// A row in the registers of its team; one that is too long for them is read anew each time.
template <int W, int LANES>
struct Row {
  static constexpr int kKept = Team<LANES>::kBlock ? 2 : 1;
  const Team<LANES>& team;
  const void* x;
  int type;
  int64_t from;
  int d;
  float kept[kKept][W];

  __device__ __forceinline__ Row(const Team<LANES>& team, const void* x, int type, int row, int d)
      : team(team), x(x), type(type), from(static_cast<int64_t>(row) * d), d(d) {
    if (isKept()) {
#pragma unroll
      for (int c = 0; c < kKept; c++) {
        if (place(c) < d) {
          load<W>(x, type, from + place(c), kept[c]);
        }
      }
    }
  }

  __device__ __forceinline__ bool isKept() const { return d <= kKept * LANES * W; }

  __device__ __forceinline__ int place(int c) const { return (c * LANES + team.lane) * W; }

  /// Calls function(i, numbers [i, i + W)) for this thread's parts of the row.
  template <class Function>
  __device__ __forceinline__ void each(Function function) {
    if (isKept()) {
#pragma unroll
      for (int c = 0; c < kKept; c++) {
        if (place(c) < d) {
          function(place(c), kept[c]);
        }
      }
    } else {
      for (int i = place(0); i < d; i += LANES * W) {
        float v[W];
        load<W>(x, type, from + i, v);
        function(i, v);
      }
    }
  }

  /// 1 / sqrt(mean(x²) + eps).
  __device__ __forceinline__ float rmsFactor(float eps) {
    float squares = 0;
    each([&](int, const float(&v)[W]) {
#pragma unroll
      for (int j = 0; j < W; j++) {
        squares += v[j] * v[j];
      }
    });
    return 1.0f / sqrtf(team.sum(squares) / d + eps);
  }
};

template <int W>
__device__ __forceinline__ void multiply(float (&v)[W], const float* factors, int64_t at) {
  if (factors != nullptr) {
    float f[W];
    load<W>(factors, kF32, at, f);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] *= f[j];
    }
  }
}

template <int W>
__device__ __forceinline__ void modulateRow(float (&v)[W], const float* scale, const float* shift, int64_t at) {
  float f[W];
  if (scale != nullptr) {
    load<W>(scale, kF32, at, f);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] *= f[j] + 1.0f;
    }
  }
  if (shift != nullptr) {
    load<W>(shift, kF32, at, f);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] += f[j];
    }
  }
}

template <int W, int LANES>
__device__ void rmsBody(
    const void* x,
    int xType,
    const float* weight,
    const float* scale,
    void* out,
    int outType,
    int rows,
    int d,
    int rowsPerItem,
    float eps) {
  const Team<LANES> team;
  const int index = min(team.row, rows - 1);  // idle lanes go through the shuffles
  Row<W, LANES> row(team, x, xType, index, d);
  const float factor = row.rmsFactor(eps);
  if (team.row >= rows) {
    return;
  }
  const int64_t item = static_cast<int64_t>(index / rowsPerItem) * d;
  row.each([&](int i, float(&v)[W]) {
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] *= factor;
    }
    multiply<W>(v, weight, i);
    modulateRow<W>(v, scale, nullptr, item + i);
    store<W>(out, outType, row.from + i, v);
  });
}

template <int W, int LANES>
__device__ void layerBody(
    const void* x,
    int xType,
    const float* scale,
    const float* shift,
    void* out,
    int outType,
    int rows,
    int d,
    int rowsPerItem,
    float eps) {
  const Team<LANES> team;
  const int index = min(team.row, rows - 1);
  Row<W, LANES> row(team, x, xType, index, d);
  float sum = 0;
  row.each([&](int, const float(&v)[W]) {
#pragma unroll
    for (int j = 0; j < W; j++) {
      sum += v[j];
    }
  });
  const float mean = team.sum(sum) / d;
  float squares = 0;
  row.each([&](int, const float(&v)[W]) {
#pragma unroll
    for (int j = 0; j < W; j++) {
      squares += (v[j] - mean) * (v[j] - mean);
    }
  });
  const float factor = 1.0f / sqrtf(team.sum(squares) / d + eps);
  if (team.row >= rows) {
    return;
  }
  const int64_t item = static_cast<int64_t>(index / rowsPerItem) * d;
  row.each([&](int i, float(&v)[W]) {
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] = (v[j] - mean) * factor;
    }
    modulateRow<W>(v, scale, shift, item + i);
    store<W>(out, outType, row.from + i, v);
  });
}

template <int W, int LANES>
__device__ void rmsAddBody(
    const void* x,
    int xType,
    const void* y,
    int yType,
    const float* weight,
    const float* gate,
    void* out,
    int outType,
    int rows,
    int d,
    int rowsPerItem,
    float eps) {
  const Team<LANES> team;
  const int index = min(team.row, rows - 1);
  Row<W, LANES> row(team, y, yType, index, d);
  const float factor = row.rmsFactor(eps);
  if (team.row >= rows) {
    return;
  }
  const int64_t item = static_cast<int64_t>(index / rowsPerItem) * d;
  row.each([&](int i, float(&v)[W]) {
    float r[W];
    load<W>(x, xType, row.from + i, r);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] *= factor;
    }
    multiply<W>(v, weight, i);
    multiply<W>(v, gate, item + i);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] += r[j];
    }
    store<W>(out, outType, row.from + i, v);
  });
}

}  // namespace

/// out = x / sqrt(mean(x²) + eps) · weight · (1 + scale). Grid: a block for each row, or with `heads` for 16 rows.
extern "C" __global__ void __launch_bounds__(kThreads) rms_norm(
    const void* x /* [rows, d] */,
    int xType,
    const float* weight /* [d], or null */,
    const float* scale /* [rows / rowsPerItem, d], or null */,
    void* out /* as x */,
    int outType,
    int rows,
    int d,
    int rowsPerItem,
    float eps,
    int heads,
    int width) {
  if (heads && width == 8) {
    rmsBody<8, kHeadLanes>(x, xType, weight, scale, out, outType, rows, d, rowsPerItem, eps);
  } else if (heads) {
    rmsBody<1, kHeadLanes>(x, xType, weight, scale, out, outType, rows, d, rowsPerItem, eps);
  } else if (width == 8) {
    rmsBody<8, kThreads>(x, xType, weight, scale, out, outType, rows, d, rowsPerItem, eps);
  } else {
    rmsBody<1, kThreads>(x, xType, weight, scale, out, outType, rows, d, rowsPerItem, eps);
  }
}

/// out = (x - mean) / sqrt(variance + eps) · (1 + scale) + shift. Grid: a block for each row.
extern "C" __global__ void __launch_bounds__(kThreads) layer_norm(
    const void* x /* [rows, d] */,
    int xType,
    const float* scale /* [rows / rowsPerItem, d], or null */,
    const float* shift /* as scale, or null */,
    void* out /* as x */,
    int outType,
    int rows,
    int d,
    int rowsPerItem,
    float eps,
    int width) {
  if (width == 8) {
    layerBody<8, kThreads>(x, xType, scale, shift, out, outType, rows, d, rowsPerItem, eps);
  } else {
    layerBody<1, kThreads>(x, xType, scale, shift, out, outType, rows, d, rowsPerItem, eps);
  }
}

/// out = x + gate · y / sqrt(mean(y²) + eps) · weight. Grid: a block for each row.
extern "C" __global__ void __launch_bounds__(kThreads) add_rms_norm(
    const void* x /* [rows, d] */,
    int xType,
    const void* y /* as x */,
    int yType,
    const float* weight /* [d], or null */,
    const float* gate /* [rows / rowsPerItem, d], or null for none */,
    void* out /* as x */,
    int outType,
    int rows,
    int d,
    int rowsPerItem,
    float eps,
    int width) {
  if (width == 8) {
    rmsAddBody<8, kThreads>(x, xType, y, yType, weight, gate, out, outType, rows, d, rowsPerItem, eps);
  } else {
    rmsAddBody<1, kThreads>(x, xType, y, yType, weight, gate, out, outType, rows, d, rowsPerItem, eps);
  }
}

/// Heads normed as by rms_norm, then turned as by rope. Grid: a block for 16 heads.
extern "C" __global__ void __launch_bounds__(kThreads, 5) rms_norm_rope(
    const void* x /* [rows = tokens · heads, d], d a multiple of 16 */,
    int xType,
    const float* weight /* [d], or null */,
    const float* cosines /* [angles, d / 2]; token t has the row t % angles */,
    const float* sines /* as cosines */,
    void* out /* as x */,
    int outType,
    int rows,
    int d,
    int heads,
    int angles,
    int halves /* 0: elements 2k and 2k + 1 are a pair; 1: k and k + d / 2 */,
    float eps) {
  constexpr int W = 8;
  const Team<kHeadLanes> team;
  const int index = min(team.row, rows - 1);
  Row<W, kHeadLanes> row(team, x, xType, index, d);
  const float factor = row.rmsFactor(eps);
  if (team.row >= rows) {
    return;
  }
  const int half = d / 2;
  const int64_t angle = static_cast<int64_t>(index / heads % angles) * half;
  // A lane's 8 numbers are 4 pairs, or meet the 8 of another place in pairs.
  row.each([&](int i, float(&v)[W]) {
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] *= factor;
    }
    multiply<W>(v, weight, i);
    if (halves) {
      float u[W];
      float c[W];
      float s[W];
      const bool isFirst = i < half;
      const int other = isFirst ? i + half : i - half;
      load<W>(x, xType, row.from + other, u);  // in the first cache
#pragma unroll
      for (int j = 0; j < W; j++) {
        u[j] *= factor;
      }
      multiply<W>(u, weight, other);
      load<W>(cosines, kF32, angle + (isFirst ? i : other), c);
      load<W>(sines, kF32, angle + (isFirst ? i : other), s);
#pragma unroll
      for (int j = 0; j < W; j++) {
        v[j] = isFirst ? v[j] * c[j] - u[j] * s[j] : u[j] * s[j] + v[j] * c[j];
      }
    } else {
      const float4 c = *reinterpret_cast<const float4*>(cosines + angle + i / 2);
      const float4 s = *reinterpret_cast<const float4*>(sines + angle + i / 2);
      const float cs[4] = {c.x, c.y, c.z, c.w};
      const float sn[4] = {s.x, s.y, s.z, s.w};
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float a = v[2 * j];
        const float b = v[2 * j + 1];
        v[2 * j] = a * cs[j] - b * sn[j];
        v[2 * j + 1] = a * sn[j] + b * cs[j];
      }
    }
    store<W>(out, outType, row.from + i, v);
  });
}
