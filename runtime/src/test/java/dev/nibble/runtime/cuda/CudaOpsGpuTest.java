package dev.nibble.runtime.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.nibble.formats.DType;
import dev.nibble.runtime.cpu.ReferenceBackend;
import dev.nibble.runtime.cuda.CudaOptions.Precision;
import dev.nibble.runtime.tensor.AbstractOpsTest;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;

/// Every operation of the CUDA backend against its definition in plain loops, on memory that was
/// full of NaN.
@RequiresGpu
class CudaOpsGpuTest {
  @SuppressWarnings("NullAway.Init") // set before all tests
  private static CudaBackend exact;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static CudaBackend fast;

  @BeforeAll
  static void open() {
    exact = CudaBackend.open(0, CudaOptions.DEFAULT.withPrecision(Precision.F32), true);
    fast = CudaBackend.open(0, CudaOptions.DEFAULT, true);
  }

  @AfterAll
  static void close() {
    exact.close();
    fast.close();
  }

  abstract static class OnGpu extends AbstractOpsTest {
    @Override
    protected Backend newOracle() {
      return new ReferenceBackend();
    }
  }

  @Nested
  class Exact extends OnGpu {
    @Override
    protected Backend newBackend() {
      return new SharedBackend(exact);
    }

    @Override
    protected double relativeError() {
      return 1e-5;
    }
  }

  /// What a residual stream or a host brings.
  @Nested
  class Bfloat16OfFloat32 extends OnGpu {
    @Override
    protected Backend newBackend() {
      return new SharedBackend(fast);
    }

    @Override
    protected double relativeError() {
      return 1e-2;
    }
  }

  /// What norms and products give to each other.
  @Nested
  class Bfloat16OfBfloat16 extends OnGpu {
    @Override
    protected Backend newBackend() {
      return new SharedBackend(fast);
    }

    @Override
    protected double relativeError() {
      return 1e-2;
    }

    @Override
    protected boolean isCoarse() {
      return true;
    }

    @Override
    protected Tensor input(Ops ops, float[] values, long... dims) {
      // A modulation that changes nothing but the type.
      Tensor wide = ops.fromHost(values, 1, 1, values.length);
      Tensor zeros = ops.fromHost(new float[values.length], 1, 1, values.length);
      Tensor narrow = ops.modulate(wide, zeros, Optional.empty());
      assertEquals(DType.BF16, narrow.dtype());
      return narrow.reshape(dims);
    }
  }
}
