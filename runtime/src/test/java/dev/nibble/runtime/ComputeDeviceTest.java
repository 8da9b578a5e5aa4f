package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ComputeDeviceTest {
  @Test
  void namesAreReadAndWritten() {
    assertEquals(new ComputeDevice.Cpu(), ComputeDevice.parse("cpu"));
    assertEquals(new ComputeDevice.Cuda(0), ComputeDevice.parse("cuda"));
    assertEquals(new ComputeDevice.Cuda(13), ComputeDevice.parse("cuda:13"));
    assertEquals("cuda:0", ComputeDevice.parse("cuda").toString());
    assertEquals("cpu", ComputeDevice.parse("cpu").toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:12345", "cuda:0 "})
  void otherNamesAreRefused(String text) {
    assertThrows(IllegalArgumentException.class, () -> ComputeDevice.parse(text));
  }
}
