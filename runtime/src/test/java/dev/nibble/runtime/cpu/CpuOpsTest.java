package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;
import dev.nibble.runtime.tensor.AbstractOpsTest;
import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import org.junit.jupiter.api.Nested;

class CpuOpsTest {
  abstract static class OnCpu extends AbstractOpsTest {
    @Override
    protected Backend newOracle() {
      return new ReferenceBackend();
    }
  }

  @Nested
  class Scalar extends OnCpu {
    @Override
    protected Backend newBackend() {
      return new CpuBackend(3, Kernels.scalar());
    }
  }

  @Nested
  class Vector extends OnCpu {
    @Override
    protected Backend newBackend() {
      return new CpuBackend(3, Kernels.vector());
    }
  }

  /// What runs by default.
  @Nested
  class Best extends OnCpu {
    @Override
    protected Backend newBackend() {
      return new CpuBackend(1);
    }

    @Override
    protected Ops newOps(Backend backend) {
      return backend.newOps("test", AttentionBackend.NATIVE_MATH);
    }
  }
}
