package dev.nibble.runtime.models.qwenimage;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.Guidance;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.nn.RmsNorm;
import dev.nibble.runtime.nn.TimestepEmbedding;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The transformer of Qwen-Image. Step caches may skip all of its blocks; its output is the
/// velocity as it is.
public final class QwenImageTransformer implements Denoiser {
  private static final int TIME_WAVES = 256;
  private static final float TIME_SCALE = 1000;

  private final QwenImageConfig config;
  private final TimestepEmbedding timeEmbedder;
  private final Linear imageIn;
  private final RmsNorm textNorm;
  private final Linear textIn;
  private final List<QwenImageBlock> blocks;
  private final Linear finalModulation;
  private final Linear projOut;

  private QwenImageTransformer(ComponentWeights weights, QwenImageConfig config) {
    this.config = config;
    int dim = config.dim();
    String time = "time_text_embed.timestep_embedder.";
    timeEmbedder =
        new TimestepEmbedding(
            Linear.biased(weights, time + "linear_1", dim, TIME_WAVES),
            Linear.biased(weights, time + "linear_2", dim, dim));
    imageIn = Linear.biased(weights, "img_in", dim, config.patchDim());
    textNorm = RmsNorm.load(weights, "txt_norm", config.textDim(), QwenImageBlock.EPS);
    textIn = Linear.biased(weights, "txt_in", dim, config.textDim());
    List<QwenImageBlock> list = new ArrayList<>();
    for (int i = 0; i < config.layers(); i++) {
      list.add(QwenImageBlock.load(weights, "transformer_blocks." + i, config));
    }
    blocks = List.copyOf(list);
    finalModulation = Linear.biased(weights, "norm_out.linear", 2 * dim, dim);
    projOut = Linear.biased(weights, "proj_out", config.patchDim(), dim);
  }

  /// Loads the transformer. The weights are borrowed as long as it is used.
  public static QwenImageTransformer load(ComponentWeights weights, ModelConfig config) {
    return new QwenImageTransformer(weights, QwenImageConfig.read(config));
  }

  @Override
  public Guidance guidance() {
    return new QwenImageGuidance();
  }

  @Override
  public int trunkBlocks() {
    return blocks.size();
  }

  @Override
  public int latentChannels() {
    return config.outChannels();
  }

  @Override
  public int patch() {
    return PackedLatents.PATCH;
  }

  @Override
  public int featureDim() {
    return config.textDim();
  }

  /// @param text embedded text tokens, `[1, Ttext, dim]`
  /// @param rope of [text, picture]
  private record Given(Tensor text, RopeTable rope) implements Conditioning {
    @Override
    public int batch() {
      return 1;
    }
  }

  @Override
  public Conditioning condition(List<Tensor> features, int height, int width, Ops ops) {
    if (features.size() != 1) {
      throw new IllegalArgumentException(
          "Qwen-Image takes one prompt a call, not " + features.size());
    }
    try (Region region = ops.region()) {
      Tensor text = textIn.apply(textNorm.apply(features.getFirst(), ops), ops);
      int tokens = text.dim(0);
      RopeTable rope =
          config
              .rope()
              .table(
                  positions(tokens, height / PackedLatents.PATCH, width / PackedLatents.PATCH),
                  ops);
      region.keep(rope.cos());
      region.keep(rope.sin());
      return new Given(region.keep(text).reshape(1, tokens, config.dim()), rope);
    }
  }

  /// Rows and columns count from the middle; text stands on the diagonal behind them.
  private static int[][] positions(int textTokens, int height, int width) {
    int[][] positions = new int[textTokens + height * width][];
    int first = Math.max(height / 2, width / 2);
    for (int k = 0; k < textTokens; k++) {
      positions[k] = new int[] {first + k, first + k, first + k};
    }
    for (int t = 0; t < height * width; t++) {
      positions[textTokens + t] =
          new int[] {0, t / width - (height - height / 2), t % width - (width - width / 2)};
    }
    return positions;
  }

  @Override
  public Tensor predict(
      Tensor latents, float sigma, Conditioning conditioning, TrunkRunner runner, Ops ops) {
    Given given = (Given) conditioning;
    try (Region region = ops.region()) {
      Tensor silu = ops.unary(Unary.SILU, timeEmbedder.apply(TIME_SCALE * sigma, ops));
      Tensor image = imageIn.apply(PackedLatents.pack(latents, ops), ops);
      Tensor hidden =
          runner
              .run(new Blocks(given.rope(), silu), BlockState.of(image, given.text()), ops)
              .hidden();
      Tensor modulation = finalModulation.apply(silu, ops).reshape(2, 1, config.dim());
      Tensor normed =
          ops.layerNormModulated(
              hidden,
              QwenImageBlock.EPS,
              modulation.rows(0, 1),
              Optional.of(modulation.rows(1, 2)));
      return region.keep(
          PackedLatents.unpack(
              projOut.apply(normed, ops),
              latents.dim(2) / PackedLatents.PATCH,
              latents.dim(3) / PackedLatents.PATCH,
              ops));
    }
  }

  /// The blocks at one step.
  private final class Blocks implements Trunk {
    private final RopeTable rope;
    private final Tensor silu;

    Blocks(RopeTable rope, Tensor silu) {
      this.rope = rope;
      this.silu = silu;
    }

    @Override
    public int blocks() {
      return blocks.size();
    }

    @Override
    public BlockState run(int block, BlockState in, Branches branches, Ops ops) {
      return blocks.get(block).apply(block, in, silu, rope, branches, ops);
    }

    @Override
    public Tensor modulatedInput(BlockState in, Ops ops) {
      return blocks.getFirst().modulatedInput(in.hidden(), silu, ops);
    }
  }
}
