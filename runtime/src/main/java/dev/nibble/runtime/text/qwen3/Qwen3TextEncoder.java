package dev.nibble.runtime.text.qwen3;

import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.util.ArrayList;
import java.util.List;

/// The features that Z-Image takes from Qwen3: transformers' `hidden_states[-2]`, the output of the
/// last layer but one, without the final norm. The last layer, that norm and the head are neither
/// loaded nor run. Borrows its weights. Immutable and thread-safe: each session brings its own
/// {@link Ops}.
///
/// The peer pads prompts to one length and masks; attention is causal, so the tokens of one prompt
/// alone give the same features.
public final class Qwen3TextEncoder {
  private final LinearWeight embedTokens;
  private final List<Qwen3Layer> layers;
  private final Qwen3Config config;

  private Qwen3TextEncoder(LinearWeight embedTokens, List<Qwen3Layer> layers, Qwen3Config config) {
    this.embedTokens = embedTokens;
    this.layers = List.copyOf(layers);
    this.config = config;
  }

  /// Loads the encoder from a checkpoint of `Qwen3Model` or `Qwen3ForCausalLM`, whose names begin
  /// with `model.`.
  ///
  /// @throws dev.nibble.formats.FormatException if the configuration or the weights are faulty
  /// @throws dev.nibble.formats.UnsupportedException if they are another model's
  public static Qwen3TextEncoder load(ComponentWeights weights, ModelConfig json) {
    Qwen3Config config = Qwen3Config.of(json);
    String prefix = weights.has("model.embed_tokens.weight") ? "model." : "";
    List<Qwen3Layer> layers = new ArrayList<>();
    for (int i = 0; i < config.layers() - 1; i++) {
      layers.add(Qwen3Layer.load(weights, prefix + "layers." + i, config));
    }
    return new Qwen3TextEncoder(
        weights.linear(prefix + "embed_tokens.weight", config.vocabulary(), config.hidden()),
        layers,
        config);
  }

  /// Width of the features.
  public int features() {
    return config.hidden();
  }

  /// Features of a prompt.
  ///
  /// @param tokens ids, at least one
  /// @return `[tokens, hidden]`
  /// @throws IllegalArgumentException if an id isn't in the vocabulary
  public Tensor encode(int[] tokens, Ops ops) {
    int[][] positions = new int[tokens.length][1];
    for (int i = 0; i < tokens.length; i++) {
      positions[i][0] = i;
      if (tokens[i] < 0 || tokens[i] >= config.vocabulary()) {
        throw new IllegalArgumentException(
            "token %d is not one of the text encoder's %d: the tokenizer is another model's"
                .formatted(tokens[i], config.vocabulary()));
      }
    }
    try (Region region = ops.region()) {
      RopeTable rope = config.rope().table(positions, ops);
      Tensor x = ops.embedding(embedTokens, tokens).reshape(1, tokens.length, config.hidden());
      for (Qwen3Layer layer : layers) {
        Tensor next = layer.apply(x, rope, ops);
        ops.release(x);
        x = next;
      }
      return region.keep(x).reshape(tokens.length, config.hidden());
    }
  }
}
