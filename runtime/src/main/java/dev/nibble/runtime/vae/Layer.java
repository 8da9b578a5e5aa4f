package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// A function of a picture's features, channels last: `[1, H, W, C]` to `[1, H', W', C']`.
@FunctionalInterface
interface Layer {
  Tensor apply(Tensor x, Ops ops);

  /// One layer after the other. What a layer was given is freed as soon as it has answered: at full
  /// size one activation of FLUX's decoder has a gigabyte.
  ///
  /// @param x borrowed
  static Tensor chain(Tensor x, List<? extends Layer> layers, Ops ops) {
    Tensor current = x;
    for (int i = 0; i < layers.size(); i++) {
      Tensor next = layers.get(i).apply(current, ops);
      if (i > 0) {
        ops.release(current);
      }
      current = next;
    }
    return current;
  }
}
