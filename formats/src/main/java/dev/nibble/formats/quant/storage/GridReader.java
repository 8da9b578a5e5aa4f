package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Finds the weights of {@link GptqStorage} and {@link AwqStorage}, which share their names. Which
/// of the two it is follows from the shapes: GPTQ packs inputs, AWQ outputs.
final class GridReader {
  private final StorageReader reader;
  private final JsonNode config;

  GridReader(StorageReader reader, Optional<JsonNode> config) {
    this.reader = reader;
    this.config =
        config.map(json -> json.path("quantization_config")).orElse(MissingNode.getInstance());
  }

  /// Takes the weight that packed codes belong to, if they are of these formats.
  void read(TensorInfo codes) {
    String prefix = reader.layerPrefix(codes, GptqStorage.CODES);
    if (!reader.has(prefix + GptqStorage.SCALES) && !reader.has(prefix + GptqStorage.ZEROS)) {
      return; // another format's
    }
    TensorInfo scales = reader.require(prefix + GptqStorage.SCALES, codes);
    TensorInfo zeros = reader.require(prefix + GptqStorage.ZEROS, codes);
    requireMatrix(codes, DType.I32);
    requireMatrix(zeros, DType.I32);
    if (!StorageReader.isFloat(scales) || scales.shape().rank() != 2) {
      throw new FormatException(
          reader.where(scales), "a matrix of F16 scales", StorageReader.describe(scales));
    }
    long out = scales.shape().dim(1);
    if (codes.shape().dim(1) == out) {
      readGptq(prefix, codes, scales, zeros);
    } else if (codes.shape().dim(1) * 8 == out) {
      readAwq(prefix, codes, scales, zeros);
    } else {
      throw new FormatException(
          reader.where(codes),
          "a column for each of %d outputs (GPTQ) or for eight (AWQ)".formatted(out),
          StorageReader.describe(codes));
    }
  }

  private void requireMatrix(TensorInfo tensor, DType type) {
    if (tensor.dtype() != type || tensor.shape().rank() != 2 || tensor.shape().elements() == 0) {
      throw new FormatException(
          reader.where(tensor), "a matrix of " + type, StorageReader.describe(tensor));
    }
  }

  private void readGptq(String prefix, TensorInfo codes, TensorInfo scales, TensorInfo zeros) {
    long out = scales.shape().dim(1);
    long bits = zeros.shape().dim(1) * 32 / out;
    if ((bits != 4 && bits != 8) || bits * out != zeros.shape().dim(1) * 32) {
      throw new UnsupportedException(
          reader.where(zeros).toString(), "GPTQ of %d bits: nibble reads 4 and 8".formatted(bits));
    }
    long in = Math.multiplyExact(codes.shape().dim(0), 32 / bits);
    int version = version();
    PartLayout layout = version == 1 ? PartLayout.GPTQ : PartLayout.GPTQ_V2;
    boolean symmetric = config.path("sym").asBoolean(false);
    GroupedInt scheme =
        new GroupedInt((int) bits, groupSize(scales, in), symmetric, scales.dtype());
    Map<Part, MemorySegment> parts = parts(codes, scales, zeros);
    List<TensorInfo> stored = new ArrayList<>(List.of(codes, zeros, scales));
    if (reader.has(prefix + GptqStorage.GROUP_INDEX)) {
      TensorInfo index = reader.require(prefix + GptqStorage.GROUP_INDEX, codes);
      stored.add(index);
      reader.groupIndex(index, in, scheme).ifPresent(data -> parts.put(Part.GROUP_INDEX, data));
    }
    adopt(
        prefix, codes, new GptqStorage(version), scheme, Shape.of(out, in), layout, parts, stored);
  }

  /// The checkpoint format, which nothing but the configuration tells.
  private int version() {
    JsonNode format =
        config.has("checkpoint_format") ? config.path("checkpoint_format") : config.path("format");
    return switch (format.asText("gptq")) {
      case "gptq" -> 1;
      case "gptq_v2" -> 2;
      default ->
          throw new UnsupportedException(
              reader.file().toString(),
              "GPTQ of the checkpoint format '"
                  + Text.printable(format.asText())
                  + "': nibble reads gptq and gptq_v2");
    };
  }

  private void readAwq(String prefix, TensorInfo codes, TensorInfo scales, TensorInfo zeros) {
    if (!config.path("version").asText("gemm").equalsIgnoreCase("gemm")) {
      throw new UnsupportedException(
          reader.file().toString(),
          "AWQ of the version '"
              + Text.printable(config.path("version").asText())
              + "': nibble reads gemm");
    }
    long in = codes.shape().dim(0);
    boolean symmetric = !config.path("zero_point").asBoolean(true);
    GroupedInt scheme = new GroupedInt(4, groupSize(scales, in), symmetric, scales.dtype());
    adopt(
        prefix,
        codes,
        new AwqStorage(),
        scheme,
        Shape.of(scales.shape().dim(1), in),
        PartLayout.AWQ,
        parts(codes, scales, zeros),
        List.of(codes, zeros, scales));
  }

  private Map<Part, MemorySegment> parts(TensorInfo codes, TensorInfo scales, TensorInfo zeros) {
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    parts.put(Part.CODES, reader.checkpoint().data(codes));
    parts.put(Part.SCALE, reader.checkpoint().data(scales));
    parts.put(Part.ZERO_POINT, reader.checkpoint().data(zeros));
    return parts;
  }

  /// The group size that the configuration names, if it gives as many groups, else equal groups.
  private int groupSize(TensorInfo scales, long in) {
    long groups = scales.shape().dim(0);
    long named = config.path("group_size").asLong(config.path("q_group_size").asLong(0));
    if (named > 0 && Math.ceilDiv(in, named) == groups && groups > 1) {
      if (in % named != 0) {
        throw new UnsupportedException(
            reader.where(scales).toString(),
            "groups of %d of %d inputs, of which the last is short: nibble reads equal groups"
                .formatted(named, in));
      }
      return Math.toIntExact(named);
    }
    if (groups == 0 || in % groups != 0) {
      throw new FormatException(
          reader.where(scales),
          "a row for each of equal groups of %d inputs".formatted(in),
          StorageReader.describe(scales));
    }
    return groups == 1 ? 0 : Math.toIntExact(in / groups);
  }

  private void adopt(
      String prefix,
      TensorInfo codes,
      QuantStorage storage,
      GroupedInt scheme,
      Shape shape,
      PartLayout layout,
      Map<Part, MemorySegment> parts,
      List<TensorInfo> stored) {
    long groups = scheme.groups(shape.dim(1));
    TensorInfo zeros = stored.get(1);
    Shape wanted = Shape.of(groups, shape.dim(0) * scheme.bits() / 32);
    if (!zeros.shape().equals(wanted)) {
      throw new FormatException(
          reader.where(zeros), "I32 " + wanted, StorageReader.describe(zeros));
    }
    if (shape.dim(0) % (32 / scheme.bits()) != 0) {
      throw new FormatException(
          reader.where(stored.get(2)),
          "whole words of outputs, as their zero points are packed",
          StorageReader.describe(stored.get(2)));
    }
    DType dtype = reader.sourceDtype(prefix, DType.F16);
    QuantizedTensor tensor = new QuantizedTensor(scheme, shape, dtype, parts, layout);
    reader.adopt(codes, prefix + "weight", storage, tensor, stored);
  }
}
