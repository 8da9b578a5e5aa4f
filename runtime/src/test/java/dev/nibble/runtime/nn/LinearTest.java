package dev.nibble.runtime.nn;

import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.tensor.Backend;

class LinearTest extends AbstractLinearTest {
  @Override
  Backend newBackend() {
    return new CpuBackend(2);
  }

  @Override
  double tolerance() {
    return 1e-5;
  }
}
