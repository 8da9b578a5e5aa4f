// Copies from global to shared memory that run beside the arithmetic (sm_80 and later).
#pragma once

#include <cstdint>

namespace nibble {

// 16 bytes; zeros where !valid, and then `from` is not read but must be an address in some buffer.
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

}  // namespace nibble
