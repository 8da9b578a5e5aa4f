// The copying side of a pipeline to warpgroup products (sm_90a): one warpgroup fills stages of shared memory
// and announces them, others use them and say so.
#pragma once

#include "common/async_copy.cuh"
#include "common/barrier.cuh"
#include "common/wgmma.cuh"

namespace nibble {

constexpr int kGroupThreads = 128;  // of a warpgroup

// Announces copies of this thread in their order. A copy is announced when the next one is on its way, or when
// there is nothing else to do, so that one is always under way.
class Announcer {
 public:
  // The copies since the last call fill what `full` stands for.
  __device__ void add(Barrier& full) {
    commit_copies();
    if (pending_ != nullptr) {
      wait_copies<1>();
      announce();
    }
    pending_ = &full;
  }

  // Until the phase before that of `parity` is over: what the stage held then has been used.
  __device__ void wait_for(Barrier& empty, int parity) {
    if (!empty.try_wait(parity ^ 1)) {
      finish();
      empty.wait(parity ^ 1);
    }
  }

  __device__ void finish() {
    if (pending_ != nullptr) {
      wait_copies<0>();
      announce();
    }
  }

 private:
  Barrier* pending_ = nullptr;

  __device__ void announce() {
    publish_to_wgmma();
    pending_->arrive();
    pending_ = nullptr;
  }
};

// Says that this warp has used a stage.
__device__ inline void release(Barrier& empty) {
  if (threadIdx.x % 32 == 0) {
    empty.arrive();
  }
}

}  // namespace nibble
