package dev.nibble.runtime.models.zimage;

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
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/// The transformer of Z-Image. Picture tokens pass the noise refiner, caption tokens the context
/// refiner; then both are one sequence, [picture, caption], in the layers that step caches may
/// skip.
public final class ZImageTransformer implements Denoiser {
  private static final float FINAL_EPS = 1e-6f;
  private static final int TIME_HIDDEN = 1024;
  private static final int TIME_WAVES = 256;

  private final ZImageConfig config;
  private final CaptionSide captionSide;
  private final TimestepEmbedding timeEmbedder;
  private final Linear imageEmbedder;
  private final Tensor imagePad;
  private final List<ZImageBlock> noiseRefiner;
  private final List<ZImageBlock> layers;
  private final Linear finalModulation;
  private final Linear finalLinear;

  private ZImageTransformer(ComponentWeights weights, ZImageConfig config) {
    this.config = config;
    int dim = config.dim();
    String patch = config.patch() + "-1";
    captionSide =
        new CaptionSide(
            RmsNorm.load(weights, "cap_embedder.0", config.captionDim(), config.eps()),
            Linear.biased(weights, "cap_embedder.1", dim, config.captionDim()),
            weights.tensor("cap_pad_token", 1, dim),
            blocks(weights, "context_refiner", config.refinerLayers(), false));
    timeEmbedder =
        new TimestepEmbedding(
            Linear.biased(weights, "t_embedder.mlp.0", TIME_HIDDEN, TIME_WAVES),
            Linear.biased(weights, "t_embedder.mlp.2", config.timeDim(), TIME_HIDDEN));
    imageEmbedder = Linear.biased(weights, "all_x_embedder." + patch, dim, config.patchDim());
    imagePad = weights.tensor("x_pad_token", 1, dim);
    noiseRefiner = blocks(weights, "noise_refiner", config.refinerLayers(), true);
    layers = blocks(weights, "layers", config.layers(), true);
    String last = "all_final_layer." + patch;
    finalModulation = Linear.biased(weights, last + ".adaLN_modulation.1", dim, config.timeDim());
    finalLinear = Linear.biased(weights, last + ".linear", config.patchDim(), dim);
  }

  /// Loads the transformer. The weights are borrowed as long as it is used.
  public static ZImageTransformer load(ComponentWeights weights, ModelConfig config) {
    return new ZImageTransformer(weights, ZImageConfig.read(config));
  }

  private List<ZImageBlock> blocks(
      ComponentWeights weights, String name, int count, boolean modulated) {
    List<ZImageBlock> blocks = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      blocks.add(ZImageBlock.load(weights, name + "." + i, config, modulated));
    }
    return List.copyOf(blocks);
  }

  @Override
  public Guidance guidance() {
    return new ZImageGuidance();
  }

  @Override
  public int trunkBlocks() {
    return layers.size();
  }

  @Override
  public int latentChannels() {
    return config.inChannels();
  }

  @Override
  public int patch() {
    return config.patch();
  }

  @Override
  public int featureDim() {
    return config.captionDim();
  }

  @Override
  public Conditioning condition(List<Tensor> features, int height, int width, Ops ops) {
    return captionSide.condition(
        features, height / config.patch(), width / config.patch(), config, ops);
  }

  @Override
  public Tensor predict(
      Tensor latents, float sigma, Conditioning conditioning, TrunkRunner runner, Ops ops) {
    ZImageConditioning given = (ZImageConditioning) conditioning;
    try (Region region = ops.region()) {
      Tensor time = timeEmbedder.apply(config.timeScale() * (1 - sigma), ops);
      Tensor image = refined(patches(latents, ops), time, given, ops);
      Tensor joint = ops.concat(1, List.of(image, given.captions()));
      Tensor hidden = runner.run(new Layers(given, time), BlockState.of(joint), ops).hidden();
      Tensor tokens = ops.slice(hidden, 1, 0, given.height() * given.width());
      Tensor scale = finalModulation.apply(ops.unary(Unary.SILU, time), ops);
      Tensor normed =
          ops.layerNormModulated(
              tokens, FINAL_EPS, scale.reshape(1, 1, config.dim()), Optional.empty());
      // The model points from noise to picture, the scheduler from picture to noise.
      return region.keep(ops.affine(latents(finalLinear.apply(normed, ops), given, ops), -1, 0));
    }
  }

  /// Embedded picture tokens with their padding after the noise refiner, one copy an item.
  private Tensor refined(Tensor patches, Tensor time, ZImageConditioning given, Ops ops) {
    try (Region region = ops.region()) {
      List<Tensor> rows = new ArrayList<>();
      rows.add(imageEmbedder.apply(patches, ops));
      rows.addAll(Collections.nCopies(padding(patches.dim(0)), imagePad));
      Tensor one = ops.concat(0, rows);
      Tensor image =
          ops.concat(0, Collections.nCopies(given.batch(), one))
              .reshape(given.batch(), one.dim(0), config.dim());
      for (int i = 0; i < noiseRefiner.size(); i++) {
        image =
            noiseRefiner
                .get(i)
                .apply(i, image, Optional.of(time), given.image(), Branches.COMPUTE, ops);
      }
      return region.keep(image);
    }
  }

  /// Tokens that fill a sequence up.
  static int padding(int tokens) {
    return Math.floorMod(-tokens, ZImageConfig.SEQUENCE_MULTIPLE);
  }

  /// `[1, C, h, w]` to `[tokens, patch · patch · C]`, channels fastest.
  private Tensor patches(Tensor latents, Ops ops) {
    int p = config.patch();
    int height = latents.dim(2) / p;
    int width = latents.dim(3) / p;
    return ops.permute(latents.reshape(config.inChannels(), height, p, width, p), 1, 3, 2, 4, 0)
        .reshape((long) height * width, config.patchDim());
  }

  /// `[B, tokens, patch · patch · C]` to `[B, C, h, w]`.
  private Tensor latents(Tensor tokens, ZImageConditioning given, Ops ops) {
    int p = config.patch();
    return ops.permute(
            tokens.reshape(given.batch(), given.height(), given.width(), p, p, config.inChannels()),
            0,
            5,
            1,
            3,
            2,
            4)
        .reshape(
            given.batch(),
            config.inChannels(),
            (long) given.height() * p,
            (long) given.width() * p);
  }

  /// The layers at one step.
  private final class Layers implements Trunk {
    private final ZImageConditioning given;
    private final Tensor time;

    Layers(ZImageConditioning given, Tensor time) {
      this.given = given;
      this.time = time;
    }

    @Override
    public int blocks() {
      return layers.size();
    }

    @Override
    public BlockState run(int block, BlockState in, Branches branches, Ops ops) {
      return BlockState.of(
          layers
              .get(block)
              .apply(block, in.hidden(), Optional.of(time), given.joint(), branches, ops));
    }

    @Override
    public Tensor modulatedInput(BlockState in, Ops ops) {
      return layers.getFirst().modulatedInput(in.hidden(), time, ops);
    }
  }
}
