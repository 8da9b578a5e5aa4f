package dev.nibble.formats.quant;

import dev.nibble.formats.DType;

/// The 8-bit floats that weights are stored in.
public enum Fp8Type {
  /// 3 bits of mantissa, no infinity.
  E4M3(DType.F8_E4M3, 448f, "float8_e4m3fn"),
  /// 2 bits of mantissa: the upper half of an F16.
  E5M2(DType.F8_E5M2, 57344f, "float8_e5m2");

  private final DType dtype;
  private final float largest;
  private final String torchName;

  Fp8Type(DType dtype, float largest, String torchName) {
    this.dtype = dtype;
    this.largest = largest;
    this.torchName = torchName;
  }

  /// Its type in safetensors.
  public DType dtype() {
    return dtype;
  }

  /// The largest finite number.
  public float largest() {
    return largest;
  }

  /// Its name in torch, and in ComfyUI's files.
  public String torchName() {
    return torchName;
  }
}
