// Elements moved to other places, converted where the result has another type.
//
// Idea: threads walk the result in its order, 16 bytes at a time where a run of the source is that long. Floor: the
// bytes read and written over the copy bandwidth. Reference: dev.nibble.runtime.cpu.Layout.
#include "../common/numbers.cuh"

using namespace nibble;

namespace {

template <int W>
__device__ void copyBody(
    const void* x, int xType, int64_t xStride, void* out, int outType, int64_t outStride, int64_t rows,
    int64_t length) {
  const int64_t count = rows * length;
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    const int64_t row = i / length;
    const int64_t column = i - row * length;
    float v[W];
    load<W>(x, xType, row * xStride + column, v);
    store<W>(out, outType, row * outStride + column, v);
  }
}

struct Axes {
  int64_t size[6];
  int64_t stride[6];
};

template <int W>
__device__ void permuteBody(const void* x, void* out, int type, int64_t count, int rank, const Axes& axes) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    int64_t from = 0;
    int64_t rest = i;
#pragma unroll
    for (int axis = 0; axis < 6; axis++) {
      if (axis < rank) {
        from += rest % axes.size[axis] * axes.stride[axis];
        rest /= axes.size[axis];
      }
    }
    float v[W];
    load<W>(x, type, from, v);
    store<W>(out, type, i, v);
  }
}

template <int W>
__device__ void upsampleBody(const void* x, void* out, int type, int64_t count, int width, int channels) {
  for (int64_t i = firstOfThread<W>(); i < count; i += stepOfGrid<W>()) {
    const int64_t pixel = i / channels;
    const int64_t column = pixel % (2 * width);
    const int64_t row = pixel / (2 * width);  // of all pictures; heights double alike
    float v[W];
    load<W>(x, type, (row / 2 * width + column / 2) * channels + i % channels, v);
    store<W>(out, type, i, v);
  }
}

}  // namespace

/// Rows of some length, `stride` elements apart on each side: what concat and slice are made of.
extern "C" __global__ void copy_rows(
    const void* x /* [rows, length] at xStride */,
    int xType,
    int64_t xStride,
    void* out /* [rows, length] at outStride */,
    int outType,
    int64_t outStride,
    int64_t rows,
    int64_t length,
    int width) {
  if (width == 8) {
    copyBody<8>(x, xType, xStride, out, outType, outStride, rows, length);
  } else {
    copyBody<1>(x, xType, xStride, out, outType, outStride, rows, length);
  }
}

/// Axes in another order. Sizes are the result's and strides the source's, the innermost axis of the result first.
extern "C" __global__ void permute(
    const void* x,
    void* out /* [count] */,
    int type,
    int64_t count,
    int rank,
    int64_t size0,
    int64_t size1,
    int64_t size2,
    int64_t size3,
    int64_t size4,
    int64_t size5,
    int64_t stride0,
    int64_t stride1,
    int64_t stride2,
    int64_t stride3,
    int64_t stride4,
    int64_t stride5,
    int width /* 8 only if stride0 is 1 */) {
  const Axes axes = {
      {size0, size1, size2, size3, size4, size5}, {stride0, stride1, stride2, stride3, stride4, stride5}};
  if (width == 8) {
    permuteBody<8>(x, out, type, count, rank, axes);
  } else {
    permuteBody<1>(x, out, type, count, rank, axes);
  }
}

/// Each pixel becomes 2x2.
extern "C" __global__ void upsample_nearest2x(
    const void* x /* [rows, columns, channels] */,
    void* out /* [2 · rows, 2 · columns, channels] */,
    int type,
    int64_t count /* of out */,
    int columns,
    int channels,
    int width) {
  if (width == 8) {
    upsampleBody<8>(x, out, type, count, columns, channels);
  } else {
    upsampleBody<1>(x, out, type, count, columns, channels);
  }
}
