package dev.nibble.runtime.models.qwenimage;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branch;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.nn.GeluFeedForward;
import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import java.util.Optional;

/// A block of two streams, each with its own modulation and feed-forward.
record QwenImageBlock(JointAttention attention, Stream image, Stream text) {
  /// Norms before the modules, which have no weights.
  static final float EPS = 1e-6f;

  /// What one stream has for itself.
  ///
  /// @param modulation Linear to shift, scale and gate of the attention, then of the feed-forward
  private record Stream(Linear modulation, GeluFeedForward feedForward) {
    static Stream load(ComponentWeights weights, String name, QwenImageConfig config) {
      int dim = config.dim();
      return new Stream(
          Linear.biased(weights, name + "_mod.1", 6 * dim, dim),
          GeluFeedForward.load(weights, name + "_mlp", dim, 4 * dim));
    }

    Modulations modulations(Tensor silu, Ops ops) {
      Tensor all = modulation.apply(silu, ops);
      Tensor parts = all.reshape(6, 1, all.dim(-1) / 6);
      return new Modulations(Modulation.of(parts, 0), Modulation.of(parts, 3));
    }
  }

  private record Modulations(Modulation attention, Modulation feedForward) {}

  /// `[1, 1, dim]` each.
  private record Modulation(Tensor shift, Tensor scale, Tensor gate) {
    static Modulation of(Tensor parts, int at) {
      return new Modulation(
          parts.rows(at, at + 1), parts.rows(at + 1, at + 2), parts.rows(at + 2, at + 3));
    }

    Tensor apply(Tensor x, Ops ops) {
      return ops.layerNormModulated(x, EPS, scale, Optional.of(shift));
    }
  }

  static QwenImageBlock load(ComponentWeights weights, String name, QwenImageConfig config) {
    return new QwenImageBlock(
        JointAttention.load(weights, name + ".attn", config),
        Stream.load(weights, name + ".img", config),
        Stream.load(weights, name + ".txt", config));
  }

  /// The block's output.
  ///
  /// @param silu SiLU of the time embedding, `[1, dim]`
  /// @param rope of [text, picture]
  BlockState apply(
      int index, BlockState in, Tensor silu, RopeTable rope, Branches branches, Ops ops) {
    try (Region region = ops.region()) {
      Tensor hidden = in.hidden();
      Tensor encoder = in.encoder().orElseThrow();
      Modulations imageSide = image.modulations(silu, ops);
      Modulations textSide = text.modulations(silu, ops);
      BlockState mixed =
          branches.output(
              index,
              Branch.ATTENTION,
              () ->
                  attention.apply(
                      imageSide.attention().apply(hidden, ops),
                      textSide.attention().apply(encoder, ops),
                      rope,
                      ops));
      Tensor imageOut =
          fed(
              image,
              index,
              Branch.FEED_FORWARD,
              ops.addGated(hidden, imageSide.attention().gate(), mixed.hidden()),
              imageSide.feedForward(),
              branches,
              ops);
      Tensor textOut =
          fed(
              text,
              index,
              Branch.ENCODER_FEED_FORWARD,
              ops.addGated(encoder, textSide.attention().gate(), mixed.encoder().orElseThrow()),
              textSide.feedForward(),
              branches,
              ops);
      return BlockState.of(region.keep(imageOut), region.keep(textOut));
    }
  }

  private static Tensor fed(
      Stream stream,
      int index,
      Branch branch,
      Tensor x,
      Modulation modulation,
      Branches branches,
      Ops ops) {
    Tensor out =
        branches
            .output(
                index,
                branch,
                () -> BlockState.of(stream.feedForward().apply(modulation.apply(x, ops), ops)))
            .hidden();
    return ops.addGated(x, modulation.gate(), out);
  }

  /// Input of the picture stream's attention: normed and modulated.
  Tensor modulatedInput(Tensor hidden, Tensor silu, Ops ops) {
    try (Region region = ops.region()) {
      return region.keep(image.modulations(silu, ops).attention().apply(hidden, ops));
    }
  }
}
