package dev.nibble.runtime.nn;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;

/// Feed-forward `down(silu(gate(x)) · up(x))` (Shazeer, arXiv:2002.05202).
///
/// @param gate `[hidden, D]`
/// @param up `[hidden, D]`
/// @param down `[D, hidden]`
public record SwiGlu(Linear gate, Linear up, Linear down) {
  /// The shape stays.
  public Tensor apply(Tensor x, Ops ops) {
    try (Region region = ops.region()) {
      Tensor hidden = ops.swiGlu(gate.apply(x, ops), up.apply(x, ops));
      return region.keep(down.apply(hidden, ops));
    }
  }
}
