package dev.nibble.runtime.cuda.driver;

import java.util.List;
import java.util.stream.Collectors;

/// What is said when a machine can't run nibble's kernels; apart, so that it is tested without one.
final class Messages {
  private Messages() {}

  static String noDriver(String library) {
    return "no NVIDIA driver found (%s is nowhere on the library path): install NVIDIA's driver, or use the cpu device"
        .formatted(library);
  }

  static String noNatives(String system, String architecture) {
    return "this build of nibble has no JCuda library for %s on %s: build it there, or use the cpu device (JCuda exists for Linux and Windows on x86-64)"
        .formatted(system, architecture);
  }

  static String oldDriver(int version, int oldest) {
    return "the NVIDIA driver serves CUDA %s, nibble's kernels need %s or newer: update the driver"
        .formatted(number(version), number(oldest));
  }

  private static String number(int version) {
    return "%d.%d".formatted(version / 1000, version % 1000 / 10);
  }

  static String oldDevice(DeviceInfo info) {
    return "cuda:%d (%s) has compute capability %d.%d, nibble's kernels need 8.0 (Ampere) or newer: use another GPU, or the cpu device"
        .formatted(info.ordinal(), info.name(), info.major(), info.minor());
  }

  static String noSuchDevice(int ordinal, List<DeviceInfo> devices) {
    return devices.isEmpty()
        ? "no cuda:%d: the NVIDIA driver shows no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use the cpu device"
            .formatted(ordinal)
        : "no cuda:%d: there is %s"
            .formatted(
                ordinal,
                devices.stream()
                    .map(info -> "cuda:%d (%s)".formatted(info.ordinal(), info.name()))
                    .collect(Collectors.joining(", ")));
  }
}
