package dev.nibble.formats.quant;

/// What the inputs of a layer are rounded to before they meet its weight, each row (token) with a
/// scale of its own that its largest magnitude gives.
public enum ActivationType {
  /// Whole numbers from -127 to 127.
  INT8("int8", 127),
  /// OCP 8-bit floats with 3 bits of mantissa.
  FP8_E4M3("fp8", 448);

  private final String label;
  private final float largest;

  ActivationType(String label, float largest) {
    this.label = label;
    this.largest = largest;
  }

  /// `int8`, `fp8`.
  public String label() {
    return label;
  }

  /// What the largest magnitude of a row becomes.
  public float largest() {
    return largest;
  }
}
