// Fills and copies of device memory by kernels: the smallest module, which proves the way from a
// source to a launch, and the ceiling that other kernels are measured against.
//
// Floor: bytes written (fill), or read and written (copy), over the memory's bandwidth.
// Reference: cuMemsetD32Async, cuMemcpyDtoDAsync.

#include <cstdint>

// target[i] = value for i < words; a grid of any size.
extern "C" __global__ void fill_words(
    uint32_t* __restrict__ target,  // [words]
    uint32_t value,
    int64_t words) {
  int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < words;
       i += stride) {
    target[i] = value;
  }
}

// target[i] = source[i] for i < vectors; both aligned to 16 bytes.
extern "C" __global__ void copy_vectors(
    const uint4* __restrict__ source,  // [vectors] of 16 bytes
    uint4* __restrict__ target,        // [vectors]
    int64_t vectors) {
  int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < vectors;
       i += stride) {
    target[i] = source[i];
  }
}
