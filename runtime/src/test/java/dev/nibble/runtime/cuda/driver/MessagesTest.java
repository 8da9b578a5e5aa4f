package dev.nibble.runtime.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.runtime.device.DeviceException;
import java.util.List;
import org.junit.jupiter.api.Test;

class MessagesTest {
  private static final DeviceInfo T4 =
      new DeviceInfo(0, "Tesla T4", 7, 5, 40, 16L << 30, 4 << 20, 64 << 10);

  @Test
  void machineWithoutDriverIsToldInOneLine() {
    assumeTrue(CudaLibrary.find().isEmpty(), "this machine has an NVIDIA driver");
    assertFalse(CudaDriver.hasDevice());
    DeviceException failure = assertThrows(DeviceException.class, CudaDriver::open);
    assertEquals(Messages.noDriver(CudaLibrary.fileName()), failure.getMessage());
  }

  @Test
  void eachMessageSaysWhatAndHow() {
    assertEquals(
        "no NVIDIA driver found (libcuda.so.1 is nowhere on the library path): install NVIDIA's"
            + " driver, or use the cpu device",
        Messages.noDriver("libcuda.so.1"));
    assertEquals(
        "the NVIDIA driver serves CUDA 11.4, nibble's kernels need 12.0 or newer: update the"
            + " driver",
        Messages.oldDriver(11040, 12000));
    assertEquals(
        "cuda:0 (Tesla T4) has compute capability 7.5, nibble's kernels need 8.0 (Ampere) or"
            + " newer: use another GPU, or the cpu device",
        Messages.oldDevice(T4));
    assertEquals("no cuda:3: there is cuda:0 (Tesla T4)", Messages.noSuchDevice(3, List.of(T4)));
    assertEquals(
        "no cuda:0: the NVIDIA driver shows no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES, or"
            + " use the cpu device",
        Messages.noSuchDevice(0, List.of()));
    assertTrue(Messages.noNatives("Linux", "aarch64").contains("Linux on aarch64"));
  }

  @Test
  void resultsNameTheCallAndTheCure() {
    assertEquals(
        "cuda:0 (X): loading kernel module 'fill' failed with CUDA_ERROR_UNSUPPORTED_PTX_VERSION:"
            + " the driver is older than the toolkit that built the kernels; update the NVIDIA"
            + " driver",
        Results.failure(222, "cuda:0 (X)", "loading kernel module 'fill'").getMessage());
    assertTrue(
        String.valueOf(Results.failure(209, "cuda:0", "loading")).contains("GPU's architecture"));
    assertTrue(String.valueOf(Results.failure(700, "cuda:0", "work")).contains("restart it"));
  }
}
