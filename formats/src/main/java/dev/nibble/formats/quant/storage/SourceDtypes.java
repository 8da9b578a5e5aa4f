package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.DType;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.TorchDtype;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Guesses the dtype of a weight before it was quantized, where its file doesn't say.
final class SourceDtypes {
  /// Last words of tensors that belong to quantized weights.
  private static final Set<String> STATISTICS =
      Set.of(
          BitsAndBytesStorage.SCB,
          CompressedTensorsStorage.SCALE,
          CompressedTensorsReader.INVERSE_SCALE,
          ComfyStorage.OLD_SCALE,
          GptqStorage.SCALES);

  private final Checkpoint checkpoint;
  private final Optional<JsonNode> config;
  private final Optional<DType> mostCommon;

  SourceDtypes(Checkpoint checkpoint, Optional<JsonNode> config) {
    this.checkpoint = checkpoint;
    this.config = config;
    this.mostCommon = mostCommonFloat(checkpoint);
  }

  /// That of the layer's bias, which quantizing leaves as it is, else what the configuration names,
  /// else that of most other numbers, else a given one.
  DType of(String prefix, DType fallback) {
    TensorInfo bias = checkpoint.tensors().get(prefix + "bias");
    if (bias != null && isFloat(bias)) {
      return bias.dtype();
    }
    return config
        .map(json -> json.has("dtype") ? json.get("dtype") : json.path("torch_dtype"))
        .filter(JsonNode::isTextual)
        .flatMap(text -> TorchDtype.named(text.textValue()))
        .or(() -> mostCommon)
        .orElse(fallback);
  }

  static boolean isFloat(TensorInfo tensor) {
    return switch (tensor.dtype()) {
      case F32, F16, BF16 -> true;
      default -> false;
    };
  }

  private static Optional<DType> mostCommonFloat(Checkpoint checkpoint) {
    Map<DType, Long> sizes = new EnumMap<>(DType.class);
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      String word = tensor.name().substring(tensor.name().lastIndexOf('.') + 1);
      if (isFloat(tensor) && !STATISTICS.contains(word)) {
        sizes.merge(tensor.dtype(), tensor.byteSize(), Long::sum);
      }
    }
    return sizes.entrySet().stream().max(Map.Entry.comparingByValue()).map(Map.Entry::getKey);
  }
}
