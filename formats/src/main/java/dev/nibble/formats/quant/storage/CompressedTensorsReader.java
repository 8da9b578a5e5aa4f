package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Fp8Type;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Finds the weights of {@link CompressedTensorsStorage} with a scale beside codes of a byte. Their
/// names are used by others too, so they are taken only where the configuration says so, or where
/// there is no configuration and no sign of ComfyUI.
final class CompressedTensorsReader {
  static final String INVERSE_SCALE = "weight_scale_inv";
  static final String GROUP_INDEX = "weight_g_idx";
  private static final long TILE = 128;

  private final StorageReader reader;
  private final boolean possible;

  CompressedTensorsReader(StorageReader reader, Optional<JsonNode> config) {
    this.reader = reader;
    Optional<String> method =
        config
            .map(json -> json.path("quantization_config").path("quant_method"))
            .filter(JsonNode::isTextual)
            .map(JsonNode::textValue);
    possible =
        method.isEmpty()
            ? !reader.checkpoint().metadata().containsKey(ComfyStorage.METADATA)
            : method.get().equals(new CompressedTensorsStorage().id())
                || method.get().equals("fp8");
  }

  /// Takes the weight that a scale belongs to, if it is one of ours.
  void read(TensorInfo scale, String word) {
    String prefix = reader.layerPrefix(scale, word);
    if (!possible || !reader.has(prefix + "weight") || reader.has(prefix + ComfyStorage.QUANT)) {
      return;
    }
    TensorInfo weight = reader.require(prefix + "weight", scale);
    if (weight.shape().elements() == 0) {
      return;
    }
    switch (weight.dtype()) {
      case I8 -> readInt8(prefix, weight, scale);
      case F8_E4M3, F8_E5M2 -> readFp8(prefix, weight, scale);
      default -> {} // refused by whoever looks at what is left
    }
  }

  private void readInt8(String prefix, TensorInfo weight, TensorInfo scale) {
    requireScales(scale, weight);
    if (reader.has(prefix + GROUP_INDEX)) {
      throw new UnsupportedException(
          reader.where(reader.require(prefix + GROUP_INDEX, scale)).toString(),
          "int-quantized in order of activations: nibble reads that order of pack-quantized");
    }
    int blockSize = blockSize(reader, scale, weight.shape());
    boolean affine = reader.has(prefix + CompressedTensorsStorage.ZERO_POINT);
    DType dtype = reader.sourceDtype(prefix, DType.F32);
    if (scale.dtype() == DType.F32) {
      QuantScheme scheme = affine ? new AffineInt8(blockSize) : new AbsmaxInt8(blockSize);
      reader.add(
          scale,
          weight.name(),
          new CompressedTensorsStorage(),
          scheme,
          new StorageReader.Description(dtype, weight.shape(), Map.of()));
      return;
    }
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    List<TensorInfo> stored = new ArrayList<>(List.of(weight, scale));
    if (affine) {
      TensorInfo zeros = reader.require(prefix + CompressedTensorsStorage.ZERO_POINT, scale);
      if (zeros.dtype() != DType.I8 || !zeros.shape().equals(scale.shape())) {
        throw new FormatException(
            reader.where(zeros), "I8 " + scale.shape(), StorageReader.describe(zeros));
      }
      parts.put(Part.ZERO_POINT, reader.checkpoint().data(zeros));
      stored.add(zeros);
    }
    GroupedInt scheme = new GroupedInt(8, blockSize, !affine, scale.dtype());
    adopt(prefix, weight, scale, scheme, PartLayout.SIGNED, parts, stored, dtype);
  }

  private void requireScales(TensorInfo scale, TensorInfo weight) {
    if (!StorageReader.isFloat(scale) || scale.shape().rank() != 2 || weight.shape().rank() != 2) {
      throw new UnsupportedException(
          reader.where(scale).toString(),
          StorageReader.describe(scale)
              + ": of compressed-tensors with integers, nibble reads scales of rows or groups of"
              + " matrices");
    }
  }

  private void readFp8(String prefix, TensorInfo weight, TensorInfo scale) {
    DType dtype = reader.sourceDtype(prefix, DType.BF16);
    Fp8Type type = weight.dtype() == DType.F8_E4M3 ? Fp8Type.E4M3 : Fp8Type.E5M2;
    List<TensorInfo> stored = new ArrayList<>(List.of(weight, scale));
    reader.find(prefix + "input_scale").ifPresent(stored::add);
    if (!StorageReader.isFloat(scale)) {
      throw new FormatException(
          reader.where(scale), "scales of F32, BF16 or F16", StorageReader.describe(scale));
    }
    Fp8 scheme = new Fp8(type, scaling(weight, scale), scale.dtype());
    adopt(
        prefix, weight, scale, scheme, PartLayout.PLAIN, new EnumMap<>(Part.class), stored, dtype);
  }

  private Fp8.Scaling scaling(TensorInfo weight, TensorInfo scale) {
    if (scale.shape().elements() == 1) {
      return Fp8.Scaling.TENSOR;
    }
    Shape shape = weight.shape();
    if (shape.rank() == 2) {
      if (scale.shape().equals(Shape.of(shape.dim(0), 1))
          || scale.shape().equals(Shape.of(shape.dim(0)))) {
        return Fp8.Scaling.ROW;
      }
      Shape tiles = Shape.of(Math.ceilDiv(shape.dim(0), TILE), Math.ceilDiv(shape.dim(1), TILE));
      if (scale.shape().equals(tiles)) {
        return Fp8.Scaling.TILE;
      }
    }
    throw new UnsupportedException(
        reader.where(scale).toString(),
        StorageReader.describe(scale)
            + " for a weight "
            + shape
            + ": of scaled fp8, nibble reads one scale for the weight, for each row, or for each"
            + " square of 128");
  }

  private void adopt(
      String prefix,
      TensorInfo weight,
      TensorInfo scale,
      QuantScheme scheme,
      PartLayout layout,
      Map<Part, MemorySegment> parts,
      List<TensorInfo> stored,
      DType dtype) {
    parts.put(Part.CODES, reader.checkpoint().data(weight));
    parts.put(Part.SCALE, reader.checkpoint().data(scale));
    reader.adopt(
        scale,
        prefix + "weight",
        new CompressedTensorsStorage(),
        new QuantizedTensor(scheme, weight.shape(), dtype, parts, layout),
        stored);
  }

  /// The block size that scales `[out, groups]` of a matrix tell, 0 for one a row.
  static int blockSize(StorageReader reader, TensorInfo scale, Shape weight) {
    boolean matrix = scale.shape().rank() == 2;
    long groups = matrix ? scale.shape().dim(1) : 0;
    long in = weight.dim(1);
    if (!matrix || scale.shape().dim(0) != weight.dim(0) || groups == 0 || in % groups != 0) {
      throw new FormatException(
          reader.where(scale),
          "a scale for each row of " + weight + ", or for each of equal groups of it",
          StorageReader.describe(scale));
    }
    return groups == 1 ? 0 : Math.toIntExact(in / groups);
  }
}
