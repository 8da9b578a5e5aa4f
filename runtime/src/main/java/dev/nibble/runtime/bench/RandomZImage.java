package dev.nibble.runtime.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.zimage.ZImageTransformer;
import dev.nibble.runtime.tensor.WeightStore;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The transformer of Z-Image in its real size, 6.15 billion weights, which are random: every
/// linear layer quantized, as `quantize` leaves them.
final class RandomZImage implements AutoCloseable {
  /// `transformer/config.json` of Tongyi-MAI/Z-Image-Turbo.
  private static final String CONFIG =
      """
      {"all_f_patch_size": [1], "all_patch_size": [2], "axes_dims": [32, 48, 48],
       "axes_lens": [1024, 512, 512], "cap_feat_dim": 2560, "dim": 3840, "in_channels": 16,
       "n_heads": 30, "n_kv_heads": 30, "n_layers": 30, "n_refiner_layers": 2, "norm_eps": 1e-05,
       "qk_norm": true, "rope_theta": 256.0, "t_scale": 1000.0}
      """;

  private static final Path NAME = Path.of("Z-Image with random weights");
  private static final int DIM = 3840;
  private static final int HIDDEN = 10240;
  private static final int TIME = 256;
  private static final int LAYERS = 30;
  private static final int REFINER_LAYERS = 2;

  private final RandomWeights random;
  private final QuantScheme scheme;
  private final Map<String, LogicalTensor> tensors = new LinkedHashMap<>();
  private final ComponentWeights weights;
  private final Denoiser denoiser;

  /// @param store takes the weights; owned from now on
  // The model owns the arena, and the weights own the model.
  @SuppressWarnings("MustBeClosedChecker")
  RandomZImage(QuantScheme scheme, WeightStore store) {
    this.scheme = scheme;
    Arena arena = Arena.ofShared();
    random = new RandomWeights(arena);
    list();
    weights =
        new ComponentWeights(
            NAME,
            new OpenModel(new Numbers(random), arena, tensors, Optional.empty(), Optional.empty()),
            store);
    try {
      denoiser = ZImageTransformer.load(weights, new ModelConfig(NAME, config()));
    } catch (Throwable e) {
      weights.close();
      throw e;
    }
  }

  private static ObjectNode config() {
    try {
      return (ObjectNode) new ObjectMapper().readTree(CONFIG);
    } catch (JsonProcessingException e) {
      throw new AssertionError(e);
    }
  }

  Denoiser denoiser() {
    return denoiser;
  }

  /// Bytes of the weights as they are stored.
  long weightBytes() {
    return weights.byteSize();
  }

  /// Multiplications and additions of a step's products and attention.
  static double flops(int imageTokens, int captionTokens) {
    double block = 4.0 * DIM * DIM + 3.0 * DIM * HIDDEN;
    double tokens = imageTokens + captionTokens;
    double products = 2 * block * (LAYERS * tokens + REFINER_LAYERS * (double) imageTokens);
    double attention =
        4.0
            * DIM
            * (LAYERS * tokens * tokens + REFINER_LAYERS * (double) imageTokens * imageTokens);
    return products + attention;
  }

  private void list() {
    vector("cap_embedder.0.weight", 2560);
    biased("cap_embedder.1", DIM, 2560);
    matrix("cap_pad_token", 1, DIM);
    matrix("x_pad_token", 1, DIM);
    biased("t_embedder.mlp.0", 1024, TIME);
    biased("t_embedder.mlp.2", TIME, 1024);
    biased("all_x_embedder.2-1", DIM, 64);
    biased("all_final_layer.2-1.adaLN_modulation.1", DIM, TIME);
    biased("all_final_layer.2-1.linear", 64, DIM);
    for (int i = 0; i < REFINER_LAYERS; i++) {
      block("context_refiner." + i, false);
      block("noise_refiner." + i, true);
    }
    for (int i = 0; i < LAYERS; i++) {
      block("layers." + i, true);
    }
  }

  private void block(String name, boolean modulated) {
    for (String part : List.of("to_q", "to_k", "to_v", "to_out.0")) {
      linear(name + ".attention." + part, DIM, DIM);
    }
    vector(name + ".attention.norm_q.weight", 128);
    vector(name + ".attention.norm_k.weight", 128);
    for (String norm : List.of("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2")) {
      vector(name + "." + norm + ".weight", DIM);
    }
    linear(name + ".feed_forward.w1", HIDDEN, DIM);
    linear(name + ".feed_forward.w3", HIDDEN, DIM);
    linear(name + ".feed_forward.w2", DIM, HIDDEN);
    if (modulated) {
      biased(name + ".adaLN_modulation.0", 4L * DIM, TIME);
    }
  }

  private void biased(String name, long out, long in) {
    linear(name, out, in);
    vector(name + ".bias", out);
  }

  private void linear(String name, long out, long in) {
    String weight = name + ".weight";
    tensors.put(
        weight,
        new LogicalTensor.Quantized(
            weight,
            random.quantized(scheme, Shape.of(out, in)),
            new BitsAndBytesStorage(),
            List.of()));
  }

  private void vector(String name, long size) {
    dense(name, Shape.of(size));
  }

  private void matrix(String name, long rows, long columns) {
    dense(name, Shape.of(rows, columns));
  }

  private void dense(String name, Shape shape) {
    tensors.put(
        name,
        new LogicalTensor.Dense(
            new TensorInfo(name, DType.BF16, shape, 0, 0, DType.BF16.byteSize(shape.elements()))));
  }

  @Override
  public void close() {
    weights.close();
  }

  /// A checkpoint that has any tensor.
  private record Numbers(RandomWeights random) implements Checkpoint {
    @Override
    public Map<String, TensorInfo> tensors() {
      return Map.of();
    }

    @Override
    public MemorySegment data(TensorInfo tensor) {
      return random.dense(tensor.dtype(), tensor.shape());
    }

    @Override
    public MemorySegment bytes(CheckpointFile file) {
      throw new UnsupportedOperationException("random weights lie in no file");
    }

    @Override
    public Map<String, String> metadata() {
      return Map.of();
    }

    @Override
    public List<CheckpointFile> files() {
      return List.of();
    }

    @Override
    public void close() {
      // the arena belongs to the model
    }
  }
}
