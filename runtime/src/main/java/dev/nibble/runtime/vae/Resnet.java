package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import java.util.List;
import java.util.Optional;

/// `shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))))))`; the shortcut is a 1x1 convolution
/// where the number of channels changes.
record Resnet(
    GroupNorm norm1,
    Convolution conv1,
    GroupNorm norm2,
    Convolution conv2,
    Optional<Convolution> shortcut)
    implements Layer {
  static Resnet load(ComponentWeights weights, String name, int out, int in, int groups) {
    return new Resnet(
        GroupNorm.load(weights, name + ".norm1", in, groups),
        Convolution.load(weights, name + ".conv1", out, in, Conv2d.SAME_3X3),
        GroupNorm.load(weights, name + ".norm2", out, groups),
        Convolution.load(weights, name + ".conv2", out, out, Conv2d.SAME_3X3),
        in == out
            ? Optional.empty()
            : Optional.of(
                Convolution.load(weights, name + ".conv_shortcut", out, in, Conv2d.POINTWISE)));
  }

  @Override
  public Tensor apply(Tensor x, Ops ops) {
    try (Region region = ops.region()) {
      Tensor residual =
          Layer.chain(x, List.of(norm1.thenSilu(), conv1, norm2.thenSilu(), conv2), ops);
      Tensor straight = shortcut.isPresent() ? shortcut.get().apply(x, ops) : x;
      return region.keep(ops.add(straight, residual));
    }
  }
}
