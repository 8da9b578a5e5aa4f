// Functions of elements that lie at the same place, or in the same column, of every operand.
//
// Idea: one pass, float32 inside, 16-byte accesses. Floor: the bytes of the operands and the result over the copy
// bandwidth; arithmetic is negligible. Reference: dev.nibble.runtime.cpu.Elementwise, Broadcast and Layout.rope.
//
// `width` is 8 where every row is a multiple of 8 numbers and every address of 16 bytes, else 1.
#include <cuda_fp16.h>

#include "../common/numbers.cuh"

using namespace nibble;

namespace {

// Order of dev.nibble.runtime.tensor.Unary.
constexpr int kSilu = 0;
constexpr int kGeluTanh = 1;

__device__ __forceinline__ float unaryOf(int function, float x) {
  if (function == kSilu) {
    return silu(x);
  }
  if (function == kGeluTanh) {
    const float z = 0.7978845608028654f * (x + 0.044715f * x * x * x);
    return 0.5f * x * (1.0f + tanhf(z));
  }
  return tanhf(x);
}

// Order of dev.nibble.runtime.tensor.Binary.
__device__ __forceinline__ float binaryOf(int function, float a, float b) {
  switch (function) {
    case 0:
      return a + b;
    case 1:
      return a - b;
    case 2:
      return a * b;
    default:
      return a / b;
  }
}

template <int W>
__device__ void unaryBody(int function, const void* x, int xType, void* out, int outType, int64_t count) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    float v[W];
    load<W>(x, xType, i, v);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] = unaryOf(function, v[j]);
    }
    store<W>(out, outType, i, v);
  }
}

template <int W>
__device__ void affineBody(
    const void* x, int xType, float factor, float addend, void* out, int outType, int64_t count) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    float v[W];
    load<W>(x, xType, i, v);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] = __fadd_rn(__fmul_rn(v[j], factor), addend);
    }
    store<W>(out, outType, i, v);
  }
}

template <int W>
__device__ void swigluBody(
    const void* gate, int gateType, const void* up, int upType, void* out, int outType, int64_t count) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    float g[W];
    float u[W];
    load<W>(gate, gateType, i, g);
    load<W>(up, upType, i, u);
#pragma unroll
    for (int j = 0; j < W; j++) {
      g[j] = silu(g[j]) * u[j];
    }
    store<W>(out, outType, i, g);
  }
}

template <int W>
__device__ void modulateBody(
    const void* x,
    int xType,
    const float* scale,
    const float* shift,
    void* out,
    int outType,
    int64_t count,
    int64_t itemSize,
    int d) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    const int64_t at = i / itemSize * d + i % d;
    float v[W];
    float s[W];
    load<W>(x, xType, i, v);
    load<W>(scale, kF32, at, s);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] *= s[j] + 1.0f;
    }
    if (shift != nullptr) {
      load<W>(shift, kF32, at, s);
#pragma unroll
      for (int j = 0; j < W; j++) {
        v[j] += s[j];
      }
    }
    store<W>(out, outType, i, v);
  }
}

template <int W>
__device__ void addGatedBody(
    const void* x,
    int xType,
    const float* gate,
    const void* y,
    int yType,
    void* out,
    int outType,
    int64_t count,
    int64_t itemSize,
    int d) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    float v[W];
    float g[W];
    float w[W];
    load<W>(x, xType, i, v);
    load<W>(gate, kF32, i / itemSize * d + i % d, g);
    load<W>(y, yType, i, w);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] += g[j] * w[j];
    }
    store<W>(out, outType, i, v);
  }
}

/// The axes of a broadcast, the innermost first; a stride is 0 where an operand is repeated.
struct Axes {
  int64_t size[6];
  int64_t strideA[6];
  int64_t strideB[6];
};

template <int W>
__device__ __forceinline__ void loadBroadcast(
    const void* array, int type, int64_t at, int64_t stride, float (&v)[W]) {
  if (W == 1 || stride == 1) {
    load<W>(array, type, at, v);
  } else {
    float one[1];
    load<1>(array, type, at, one);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] = one[0];
    }
  }
}

template <int W>
__device__ void binaryBody(
    int function,
    const void* a,
    int aType,
    const void* b,
    int bType,
    void* out,
    int outType,
    int64_t count,
    int rank,
    const Axes& axes) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    int64_t fromA = 0;
    int64_t fromB = 0;
    int64_t rest = i;
#pragma unroll
    for (int axis = 0; axis < 6; axis++) {
      if (axis < rank) {
        const int64_t index = axis == rank - 1 ? rest : rest % axes.size[axis];
        rest /= axes.size[axis];
        fromA += index * axes.strideA[axis];
        fromB += index * axes.strideB[axis];
      }
    }
    float v[W];
    float w[W];
    loadBroadcast<W>(a, aType, fromA, axes.strideA[0], v);
    loadBroadcast<W>(b, bType, fromB, axes.strideB[0], w);
#pragma unroll
    for (int j = 0; j < W; j++) {
      v[j] = binaryOf(function, v[j], w[j]);
    }
    store<W>(out, outType, i, v);
  }
}

constexpr int kTerms = 8;

template <int W>
__device__ void combinationBody(
    int terms, const int64_t (&arrays)[kTerms], int bf16Mask, const float (&factors)[kTerms], void* out,
    int outType, int64_t count) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    float sum[W];
#pragma unroll
    for (int t = 0; t < kTerms; t++) {
      if (t < terms) {
        float v[W];
        load<W>(reinterpret_cast<const void*>(arrays[t]), bf16Mask >> t & 1, i, v);
#pragma unroll
        for (int j = 0; j < W; j++) {
          const float product = __fmul_rn(factors[t], v[j]);
          sum[j] = t == 0 ? product : __fadd_rn(sum[j], product);
        }
      }
    }
    store<W>(out, outType, i, sum);
  }
}

}  // namespace

/// out = function(x).
extern "C" __global__ void unary(
    int function,
    const void* x /* [count] */,
    int xType,
    void* out /* [count] */,
    int outType,
    int64_t count,
    int width) {
  if (width == 8) {
    unaryBody<8>(function, x, xType, out, outType, count);
  } else {
    unaryBody<1>(function, x, xType, out, outType, count);
  }
}

/// out = x · factor + addend, rounded twice; with 1 and 0 a conversion.
extern "C" __global__ void affine(
    const void* x /* [count] */,
    int xType,
    float factor,
    float addend,
    void* out /* [count] */,
    int outType,
    int64_t count,
    int width) {
  if (width == 8) {
    affineBody<8>(x, xType, factor, addend, out, outType, count);
  } else {
    affineBody<1>(x, xType, factor, addend, out, outType, count);
  }
}

/// Half precision to another type.
extern "C" __global__ void convert_half(
    const __half* x /* [count] */, void* out /* [count] */, int outType, int64_t count) {
  for (int64_t i = firstOfThread<1>(); i < count; i += stepOfGrid<1>()) {
    const float v[1] = {__half2float(x[i])};
    store<1>(out, outType, i, v);
  }
}

/// out = silu(gate) · up.
extern "C" __global__ void swiglu(
    const void* gate /* [count] */,
    int gateType,
    const void* up /* [count] */,
    int upType,
    void* out /* [count] */,
    int outType,
    int64_t count,
    int width) {
  if (width == 8) {
    swigluBody<8>(gate, gateType, up, upType, out, outType, count);
  } else {
    swigluBody<1>(gate, gateType, up, upType, out, outType, count);
  }
}

/// out = x · (1 + scale) + shift, one row of scale and shift an item of the batch.
extern "C" __global__ void modulate(
    const void* x /* [items, itemSize / d, d] */,
    int xType,
    const float* scale /* [items, d] */,
    const float* shift /* [items, d], or null */,
    void* out /* as x */,
    int outType,
    int64_t count,
    int64_t itemSize,
    int d,
    int width) {
  if (width == 8) {
    modulateBody<8>(x, xType, scale, shift, out, outType, count, itemSize, d);
  } else {
    modulateBody<1>(x, xType, scale, shift, out, outType, count, itemSize, d);
  }
}

/// out = x + gate · y, one row of the gate an item of the batch.
extern "C" __global__ void add_gated(
    const void* x /* [items, itemSize / d, d] */,
    int xType,
    const float* gate /* [items, d] */,
    const void* y /* as x */,
    int yType,
    void* out /* as x */,
    int outType,
    int64_t count,
    int64_t itemSize,
    int d,
    int width) {
  if (width == 8) {
    addGatedBody<8>(x, xType, gate, y, yType, out, outType, count, itemSize, d);
  } else {
    addGatedBody<1>(x, xType, gate, y, yType, out, outType, count, itemSize, d);
  }
}

/// out = function(a, b), repeated along axes of stride 0. Axes: the innermost first, unused ones of size 1.
extern "C" __global__ void binary(
    int function,
    const void* a,
    int aType,
    const void* b,
    int bType,
    void* out /* [count] */,
    int outType,
    int64_t count,
    int rank,
    int64_t size0,
    int64_t size1,
    int64_t size2,
    int64_t size3,
    int64_t size4,
    int64_t size5,
    int64_t a0,
    int64_t a1,
    int64_t a2,
    int64_t a3,
    int64_t a4,
    int64_t a5,
    int64_t b0,
    int64_t b1,
    int64_t b2,
    int64_t b3,
    int64_t b4,
    int64_t b5,
    int width) {
  const Axes axes = {
      {size0, size1, size2, size3, size4, size5}, {a0, a1, a2, a3, a4, a5}, {b0, b1, b2, b3, b4, b5}};
  if (width == 8) {
    binaryBody<8>(function, a, aType, b, bType, out, outType, count, rank, axes);
  } else {
    binaryBody<1>(function, a, aType, b, bType, out, outType, count, rank, axes);
  }
}

/// out = the sum of up to 8 terms, factor · term each, from left to right; every product and sum is rounded.
extern "C" __global__ void linear_combination(
    int terms,
    int64_t t0 /* address of [count] */,
    int64_t t1,
    int64_t t2,
    int64_t t3,
    int64_t t4,
    int64_t t5,
    int64_t t6,
    int64_t t7,
    int bf16Mask /* bit t: term t is bfloat16 */,
    float f0,
    float f1,
    float f2,
    float f3,
    float f4,
    float f5,
    float f6,
    float f7,
    void* out /* [count] */,
    int outType,
    int64_t count,
    int width) {
  const int64_t arrays[kTerms] = {t0, t1, t2, t3, t4, t5, t6, t7};
  const float factors[kTerms] = {f0, f1, f2, f3, f4, f5, f6, f7};
  if (width == 8) {
    combinationBody<8>(terms, arrays, bf16Mask, factors, out, outType, count);
  } else {
    combinationBody<1>(terms, arrays, bf16Mask, factors, out, outType, count);
  }
}

/// Turns pairs of elements of each head by the angle of its token: (a, b) to (a cos - b sin, a sin + b cos).
extern "C" __global__ void rope(
    const void* x /* [tokens, heads, 2 · half] */,
    int xType,
    const float* cosines /* [angles, half]; token t has the row t % angles */,
    const float* sines /* as cosines */,
    void* out /* as x */,
    int outType,
    int64_t tokens,
    int heads,
    int half,
    int64_t angles,
    int halves /* 0: elements 2k and 2k + 1 are a pair; 1: k and k + half */) {
  const int64_t pairs = tokens * heads * half;
  for (int64_t i = firstOfThread<1>(); i < pairs; i += stepOfGrid<1>()) {
    const int k = static_cast<int>(i % half);
    const int64_t head = i / half;
    const int64_t angle = head / heads % angles * half + k;
    const int64_t first = head * 2 * half + (halves ? k : 2 * k);
    const int64_t second = first + (halves ? half : 1);
    float a[1];
    float b[1];
    load<1>(x, xType, first, a);
    load<1>(x, xType, second, b);
    const float c = cosines[angle];
    const float s = sines[angle];
    const float turned[1] = {a[0] * c - b[0] * s};
    const float other[1] = {a[0] * s + b[0] * c};
    store<1>(out, outType, first, turned);
    store<1>(out, outType, second, other);
  }
}
