package dev.nibble.runtime.calibration;

import dev.nibble.runtime.tensor.LinearWeight;

/// A weight that knows whose it is.
///
/// @param module path of the layer
/// @param weight of the backend
record NamedWeight(String module, LinearWeight weight) implements LinearWeight {
  private static final String ENDING = ".weight";

  /// @param name of the weight, which ends with `.weight`
  static NamedWeight of(String name, LinearWeight weight) {
    String module =
        name.endsWith(ENDING) ? name.substring(0, name.length() - ENDING.length()) : name;
    return new NamedWeight(module, weight);
  }

  /// The backend's weight.
  static LinearWeight bare(LinearWeight weight) {
    return weight instanceof NamedWeight named ? named.weight() : weight;
  }

  @Override
  public int outFeatures() {
    return weight.outFeatures();
  }

  @Override
  public int inFeatures() {
    return weight.inFeatures();
  }

  @Override
  public long byteSize() {
    return weight.byteSize();
  }
}
