package dev.nibble.runtime.nn;

import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.cuda.CudaOptions;
import dev.nibble.runtime.cuda.RequiresGpu;
import dev.nibble.runtime.tensor.Backend;

@RequiresGpu
class LinearGpuTest extends AbstractLinearTest {
  @Override
  Backend newBackend() {
    return CudaBackend.open(0, CudaOptions.DEFAULT);
  }

  @Override
  double tolerance() {
    return 1e-2;
  }
}
