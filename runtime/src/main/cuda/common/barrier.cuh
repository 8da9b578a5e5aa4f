// Barriers in shared memory that count arrivals, phase by phase (sm_80; waiting wants sm_90), and the
// numbered barriers of a block.
#pragma once

#include <cstdint>

#include "common/mma.cuh"

namespace nibble {

struct Barrier {
  uint64_t state;

  __device__ void init(int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&state)), "r"(arrivals) : "memory");
  }

  __device__ void arrive() {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&state)) : "memory");
  }

  // Whether the phase of that parity is complete; may take a little time to say no.
  __device__ bool try_wait(int parity) {
    uint32_t done;
    asm volatile(
        "{\n"
        ".reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n"
        "}\n"
        : "=r"(done)
        : "r"(shared_address(&state)), "r"(parity)
        : "memory");
    return done != 0;
  }

  __device__ void wait(int parity) {
    while (!try_wait(parity)) {
    }
  }
};

// Barrier `number` (1 to 15) of the block, which `threads` threads reach by either of these.
__device__ inline void sync_numbered(int number, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

__device__ inline void arrive_numbered(int number, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

}  // namespace nibble
