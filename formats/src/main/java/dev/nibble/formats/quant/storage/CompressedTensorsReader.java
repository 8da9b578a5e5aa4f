package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.QuantScheme;
import java.util.Map;
import java.util.Optional;

/// Finds the weights of {@link CompressedTensorsStorage}. Their names are used by others too, so an
/// I8 matrix with a scale is taken for one only where the configuration says so, or where there is
/// no configuration and no sign of ComfyUI.
final class CompressedTensorsReader {
  private final StorageReader reader;
  private final boolean asked;
  private final boolean possible;

  CompressedTensorsReader(StorageReader reader, Optional<JsonNode> config) {
    this.reader = reader;
    Optional<String> method =
        config
            .map(json -> json.path("quantization_config").path("quant_method"))
            .filter(JsonNode::isTextual)
            .map(JsonNode::textValue);
    asked = method.filter(new CompressedTensorsStorage().id()::equals).isPresent();
    possible =
        asked
            || (method.isEmpty()
                && !reader.checkpoint().metadata().containsKey(QuantOrigin.COMFY_METADATA));
  }

  /// Takes the weight that a scale belongs to, if it is one of ours.
  void read(TensorInfo scale) {
    String prefix = reader.layerPrefix(scale, CompressedTensorsStorage.SCALE);
    if (!possible
        || !reader.has(prefix + "weight")
        || reader.has(prefix + QuantOrigin.COMFY_QUANT)) {
      return;
    }
    TensorInfo weight = reader.require(prefix + "weight", scale);
    if (weight.dtype() != DType.I8 || weight.shape().rank() != 2) {
      return;
    }
    if (scale.dtype() != DType.F32 || scale.shape().rank() != 2) {
      if (asked) {
        throw new UnsupportedException(
            scale.name(),
            StorageReader.describe(scale)
                + ": of compressed-tensors, nibble reads F32 scales of rows or groups");
      }
      return;
    }
    int blockSize = blockSize(scale, weight.shape());
    boolean affine = reader.has(prefix + CompressedTensorsStorage.ZERO_POINT);
    QuantScheme scheme = affine ? new AffineInt8(blockSize) : new AbsmaxInt8(blockSize);
    reader.add(
        scale,
        weight.name(),
        new CompressedTensorsStorage(),
        scheme,
        new StorageReader.Description(
            reader.sourceDtype(prefix, DType.F32), weight.shape(), Map.of()));
  }

  private int blockSize(TensorInfo scale, Shape weight) {
    long groups = scale.shape().dim(1);
    long in = weight.dim(1);
    if (scale.shape().dim(0) != weight.dim(0) || groups == 0 || in % groups != 0) {
      throw new FormatException(
          reader.where(scale),
          "a scale for each row of " + weight + ", or for each of equal groups of it",
          StorageReader.describe(scale));
    }
    return groups == 1 ? 0 : Math.toIntExact(in / groups);
  }
}
