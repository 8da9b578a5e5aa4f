// Copies from global to shared memory that run beside the arithmetic (sm_80 and later).
#pragma once

#include <cstdint>

#include "common/dtype.cuh"
#include "common/mma.cuh"

namespace nibble {

// 16 bytes; zeros where !valid, and then `from` is not read.
__device__ inline void copy_async16(uint32_t shared, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}

__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until all but the last kPending committed groups of this thread have landed.
template <int kPending>
__device__ inline void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Copies tiles of kRows rows and kColumns columns by kThreads threads. A thread has one chunk of each kStep-th
// row, so that its addresses differ by constants.
template <int kThreads, int kRows, int kColumns>
class TileCopier {
  static constexpr int kChunks = kColumns / 8;
  static constexpr int kStep = kThreads / kChunks;
  static_assert(kStep * kChunks == kThreads && kRows % kStep == 0 && (kStep % 8 == 0 || 8 % kStep == 0));

 public:
  static constexpr int kTileBytes = kRows * kColumns * 2;

  // @param stride elements from row to row in global memory
  // @param thread 0 to kThreads - 1
  __device__ TileCopier(int64_t stride, int thread)
      : row_(thread / kChunks),
        column_(thread % kChunks * 8),
        offset_(row_ * stride + column_),
        step_(kStep * stride),
        place_(column_ / kPanelColumns * (kRows * kPanelRowBytes) + swizzled(row_, column_ / 8 % 8)) {}

  // Starts a copy; zeros beyond `rows` rows and `columns` columns.
  // @param from a multiple of 16 bytes, like the stride
  __device__ void copy(uint32_t to, const bf16* from, int rows, int columns) const {
    const int left = column_ < columns ? rows - row_ : 0;
    from += offset_;
#pragma unroll
    for (int i = 0; i < kRows / kStep; i++) {
      copy_async16(to + (place_ ^ (i * kStep % 8 * 16)) + i * kStep * kPanelRowBytes, from, i * kStep < left);
      from += step_;
    }
  }

 private:
  int row_;
  int column_;
  int64_t offset_;
  int64_t step_;
  uint32_t place_;
};

}  // namespace nibble
