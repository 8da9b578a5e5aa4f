package dev.nibble.runtime.bench;

import java.util.Optional;

/// What the device can do at best, measured in the same run.
///
/// @param copyBytes bytes a second, read and written, of the driver's copy on the device
/// @param busBytes bytes a second from pinned memory of the host
/// @param productFlops multiplications and additions a second of cuBLASLt's bfloat16 product of
///   8192x8192 matrices; empty where cuBLASLt is not installed
public record Ceilings(double copyBytes, double busBytes, Optional<Double> productFlops) {
  Measurement moving(String op, double micros, double bytes) {
    double rate = bytes / micros * 1e6;
    return new Measurement(
        op,
        micros,
        new Measurement.Rate(rate / 1e9, Measurement.Unit.GBPS),
        Optional.of(rate / copyBytes));
  }

  Measurement computing(String op, double micros, double flops) {
    double rate = flops / micros * 1e6;
    return new Measurement(
        op,
        micros,
        new Measurement.Rate(rate / 1e12, Measurement.Unit.TFLOPS),
        productFlops.map(ceiling -> rate / ceiling));
  }
}
