package dev.nibble.runtime.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import org.junit.jupiter.api.Test;

class KernelModuleTest {
  @Test
  void missingModuleIsToldWithTheCure() {
    assertFalse(KernelModule.exists("no_such_module"));
    assertEquals(
        "this build carries no CUDA kernels (module 'no_such_module'): build nibble where nvcc of"
            + " CUDA 12.4 or newer is found, or use the cpu device",
        KernelModule.missing("no_such_module"));
  }
}
