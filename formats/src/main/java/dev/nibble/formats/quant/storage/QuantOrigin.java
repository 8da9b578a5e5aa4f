package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.DType;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Tells by names, dtypes, metadata and configuration what has quantized a model: our own storages
/// and those of others, which nibble knows only to refuse them by name.
final class QuantOrigin {
  /// What {@link StorageReader} reads, in words.
  static final String READ =
      "bitsandbytes, compressed-tensors (int-, pack-, float-quantized, nvfp4, mxfp4), GPTQ, AWQ,"
          + " scaled fp8 and its own storage";

  /// Methods that {@link StorageReader} reads, by their name in a configuration.
  private static final Set<String> METHODS =
      Set.of("bitsandbytes", "compressed-tensors", "gptq", "awq", "fp8", "nibble");

  private static final String COMFY_LAYERS = "ComfyUI (quantized layers)";
  private static final String BITS_AND_BYTES_CONFIG = "bitsandbytes (as its config.json says)";
  private static final String COMFY_FP8 = "ComfyUI's scaled fp8";

  private final Checkpoint checkpoint;
  private final Optional<JsonNode> config;
  private final Map<String, TensorInfo> tensors;

  QuantOrigin(Checkpoint checkpoint, Optional<JsonNode> config) {
    this.checkpoint = checkpoint;
    this.config = config;
    this.tensors = checkpoint.tensors();
  }

  /// What has quantized the model, if anything has.
  Optional<String> find() {
    Optional<String> origin = ofTensors(tensors);
    if (origin.isEmpty() && checkpoint.metadata().containsKey(ComfyStorage.METADATA)) {
      origin = Optional.of(COMFY_LAYERS);
    }
    return origin.or(this::ofMetadata).or(this::ofConfig).or(() -> ofWeights(tensors));
  }

  /// What has quantized the tensors that no reader has taken, if anything has, or a method that no
  /// reader knows.
  Optional<String> unread(Map<String, TensorInfo> left) {
    return ofTensors(left)
        .or(this::ofMetadata)
        .or(() -> ofConfig().filter(_ -> method().filter(METHODS::contains).isEmpty()))
        .filter(origin -> !origin.equals(BITS_AND_BYTES_CONFIG))
        .or(() -> ofWeights(left));
  }

  private Optional<String> ofTensors(Map<String, TensorInfo> some) {
    return some.values().stream().flatMap(tensor -> ofTensor(tensor).stream()).findFirst();
  }

  private Optional<String> ofMetadata() {
    boolean torchao =
        checkpoint.metadata().containsKey("tensor_names")
            && checkpoint.metadata().values().stream().anyMatch(text -> text.contains("\"_type\""));
    return torchao ? Optional.of("torchao") : Optional.empty();
  }

  private Optional<String> ofTensor(TensorInfo tensor) {
    String name = tensor.name();
    int state = name.indexOf(BitsAndBytesStorage.QUANT_STATE);
    if (state > 0) {
      String type = name.substring(state + BitsAndBytesStorage.QUANT_STATE.length());
      return Optional.of("bitsandbytes (4-bit " + Text.printable(type) + ")");
    }
    if (name.endsWith(NibbleStorage.QUANT)) {
      return Optional.of("nibble");
    }
    int dot = name.lastIndexOf('.');
    return ofWord(name.substring(dot + 1), name.substring(0, dot + 1));
  }

  /// @param word last part of a tensor's name
  /// @param layer what stands before it
  private Optional<String> ofWord(String word, String layer) {
    String origin =
        switch (word) {
          case "SCB" -> hasWeight(layer) ? "bitsandbytes (LLM.int8)" : "";
          case ComfyStorage.OLD_MARKER, ComfyStorage.OLD_SCALE -> COMFY_FP8;
          case ComfyStorage.QUANT -> COMFY_LAYERS;
          case "weight_scale_2" -> "nvfp4 (two scales a weight)";
          case "weight_scale_inv" -> "block-scaled fp8";
          case "weight_scale" -> scaled(layer);
          case "weight_packed" -> "compressed-tensors (packed)";
          case "wscales", "smooth_factor", "proj_down" ->
              has(layer, "qweight") ? "SVDQuant (nunchaku)" : "";
          case "qzeros" -> has(layer, "qweight") ? gptqOrAwq(layer) : "";
          case "_data" -> has(layer, "_scale") ? "quanto" : "";
          default -> "";
        };
    return origin.isEmpty() ? Optional.empty() : Optional.of(origin);
  }

  private String scaled(String layer) {
    TensorInfo weight = tensors.get(layer + "weight");
    if (weight == null) {
      return "";
    }
    if (has(layer, ComfyStorage.QUANT)
        || checkpoint.metadata().containsKey(ComfyStorage.METADATA)) {
      return COMFY_LAYERS;
    }
    return switch (weight.dtype()) {
      case I8 -> "compressed-tensors (int8)";
      case F8_E4M3, F8_E5M2 -> "scaled fp8 (weight_scale)";
      case U8 -> "nvfp4 or mxfp4 (weight_scale)";
      default -> "";
    };
  }

  private String gptqOrAwq(String layer) {
    boolean awq = method().filter("awq"::equals).isPresent();
    return has(layer, "g_idx") || (!awq && method().filter("gptq"::equals).isPresent())
        ? "GPTQ"
        : "AWQ";
  }

  /// A matrix of whole numbers is no weight that a model computes with.
  private static Optional<String> ofWeights(Map<String, TensorInfo> some) {
    return some.values().stream()
        .filter(tensor -> tensor.name().endsWith(".weight") && tensor.shape().rank() == 2)
        .filter(tensor -> tensor.dtype() == DType.I8 || tensor.dtype() == DType.U8)
        .findFirst()
        .map(tensor -> "an unknown method (" + tensor.dtype() + " weights)");
  }

  private boolean hasWeight(String layer) {
    return has(layer, "weight");
  }

  private boolean has(String layer, String word) {
    return tensors.containsKey(layer + word);
  }

  private Optional<String> method() {
    return config
        .map(json -> json.path("quantization_config"))
        .flatMap(json ->
            json.path("quant_method").isTextual()
                ? Optional.of(json.path("quant_method").textValue())
                : Optional.empty());
  }

  private Optional<String> ofConfig() {
    Optional<String> method = method();
    if (method.isPresent()) {
      return Optional.of(Text.printable(method.get()) + " (as its config.json says)");
    }
    JsonNode quantization = config.map(json -> json.path("quantization_config")).orElse(null);
    if (quantization != null
        && (quantization.path("load_in_4bit").asBoolean()
            || quantization.path("load_in_8bit").asBoolean())) {
      return Optional.of(BITS_AND_BYTES_CONFIG);
    }
    return Optional.empty();
  }
}
