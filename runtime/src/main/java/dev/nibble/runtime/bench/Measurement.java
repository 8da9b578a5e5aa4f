package dev.nibble.runtime.bench;

import java.util.Optional;

/// The time of an operation, and how much of the device it used.
///
/// @param op names kind, format and sizes, such as `linear nf4 16 x 3840x3840`: equal for equal
///   work, whoever does it
/// @param micros median time in microseconds
/// @param rate what was done in that time
/// @param share of the ceiling that was measured in the same run, if there is one
public record Measurement(String op, double micros, Rate rate, Optional<Double> share) {
  /// Units of work a second.
  ///
  /// @param value such as 583.2
  public record Rate(double value, Unit unit) {}

  /// What is counted.
  public enum Unit {
    /// 10^12 multiplications and additions a second.
    TFLOPS("TFLOP/s"),
    /// 10^9 bytes a second, each counted once as it is needed.
    GBPS("GB/s");

    private final String text;

    Unit(String text) {
      this.text = text;
    }

    @Override
    public String toString() {
      return text;
    }
  }
}
