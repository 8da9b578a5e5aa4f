package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.MicroFloat;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/// Finds the weights of compressed-tensors whose codes share bytes: `pack-quantized`, and the 4-bit
/// floats `nvfp4-pack-quantized` and `mxfp4-pack-quantized`.
///
/// | tensor | nvfp4-pack-quantized | mxfp4-pack-quantized |
/// |---|---|---|
/// | `P.weight_packed` | U8 `[out, in/2]` | same |
/// | `P.weight_scale` | F8_E4M3 `[out, in/16]` | U8 or F8_E8M0 `[out, in/32]` |
/// | `P.weight_global_scale` | F32 `[1]` | |
final class PackedReader {
  private static final String GLOBAL_SCALE = "weight_global_scale";

  private final StorageReader reader;

  PackedReader(StorageReader reader) {
    this.reader = reader;
  }

  /// Takes the weight that packed codes belong to.
  void read(TensorInfo codes) {
    String prefix = reader.layerPrefix(codes, CompressedTensorsStorage.PACKED);
    if (codes.shape().rank() != 2 || codes.shape().elements() == 0) {
      throw new FormatException(
          reader.where(codes), "a matrix of packed codes", StorageReader.describe(codes));
    }
    switch (codes.dtype()) {
      case I32 -> readWords(prefix, codes);
      case U8 -> readFloats(prefix, codes);
      default ->
          throw new FormatException(
              reader.where(codes), "I32 or U8 codes", StorageReader.describe(codes));
    }
  }

  private void readWords(String prefix, TensorInfo codes) {
    TensorInfo scale = reader.require(prefix + CompressedTensorsStorage.SCALE, codes);
    TensorInfo shapes = reader.require(prefix + CompressedTensorsStorage.SHAPE, codes);
    Shape shape = shape(shapes);
    int bits = bits(codes, shape);
    if (!StorageReader.isFloat(scale)) {
      throw new FormatException(
          reader.where(scale), "scales of F32, BF16 or F16", StorageReader.describe(scale));
    }
    boolean symmetric = !reader.has(prefix + CompressedTensorsStorage.ZERO_POINT);
    int groupSize = CompressedTensorsReader.blockSize(reader, scale, shape);
    GroupedInt scheme = new GroupedInt(bits, groupSize, symmetric, scale.dtype());
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    List<TensorInfo> stored = new ArrayList<>(List.of(codes, scale, shapes));
    if (!symmetric) {
      TensorInfo zeros = reader.require(prefix + CompressedTensorsStorage.ZERO_POINT, codes);
      long words = Math.ceilDiv(shape.dim(0), 32 / bits);
      Shape wanted = Shape.of(words, scheme.groups(shape.dim(1)));
      if (zeros.dtype() != DType.I32 || !zeros.shape().equals(wanted)) {
        throw new FormatException(
            reader.where(zeros), "I32 " + wanted, StorageReader.describe(zeros));
      }
      stored.add(zeros);
      parts.put(Part.ZERO_POINT, reader.checkpoint().data(zeros));
    }
    if (reader.has(prefix + CompressedTensorsReader.GROUP_INDEX)) {
      TensorInfo index = reader.require(prefix + CompressedTensorsReader.GROUP_INDEX, codes);
      stored.add(index);
      reader
          .groupIndex(index, shape.dim(1), scheme)
          .ifPresent(data -> parts.put(Part.GROUP_INDEX, data));
    }
    adopt(prefix, codes, scale, scheme, shape, PartLayout.PACKED, parts, stored);
  }

  /// The weight's shape, which the file holds as numbers.
  private Shape shape(TensorInfo tensor) {
    boolean wide = tensor.dtype() == DType.I64;
    if ((!wide && tensor.dtype() != DType.I32) || tensor.shape().elements() != 2) {
      throw new FormatException(
          reader.where(tensor), "two whole numbers", StorageReader.describe(tensor));
    }
    MemorySegment data = reader.checkpoint().data(tensor);
    long out = wide ? data.get(LittleEndian.LONG, 0) : data.get(LittleEndian.INT, 0);
    long in = wide ? data.get(LittleEndian.LONG, 8) : data.get(LittleEndian.INT, 4);
    if (out < 1 || in < 1 || out > Integer.MAX_VALUE || in > Integer.MAX_VALUE) {
      throw new FormatException(
          reader.where(tensor), "the shape of a matrix", "%d, %d".formatted(out, in));
    }
    return Shape.of(out, in);
  }

  private int bits(TensorInfo codes, Shape shape) {
    long words = codes.shape().dim(1);
    if (codes.shape().dim(0) == shape.dim(0)) {
      for (int bits : new int[] {4, 8}) {
        if (words * (32 / bits) == shape.dim(1)) {
          return bits;
        }
      }
    }
    throw new UnsupportedException(
        reader.where(codes).toString(),
        StorageReader.describe(codes)
            + " for a weight "
            + shape
            + ": of pack-quantized, nibble reads 4 and 8 bits in rows of whole words");
  }

  private void readFloats(String prefix, TensorInfo codes) {
    TensorInfo scale = reader.require(prefix + CompressedTensorsStorage.SCALE, codes);
    boolean global = reader.has(prefix + GLOBAL_SCALE);
    MicroFloat scheme = new MicroFloat(global ? MicroFloat.Kind.NVFP4 : MicroFloat.Kind.MXFP4);
    Shape shape = Shape.of(codes.shape().dim(0), Math.multiplyExact(codes.shape().dim(1), 2L));
    long size = scheme.kind().blockSize();
    boolean typed =
        global
            ? scale.dtype() == DType.F8_E4M3
            : scale.dtype() == DType.U8 || scale.dtype() == DType.F8_E8M0;
    Shape wanted = Shape.of(shape.dim(0), shape.dim(1) / size);
    if (!typed || shape.dim(1) % size != 0 || !scale.shape().equals(wanted)) {
      throw new FormatException(
          reader.where(scale),
          (global ? "F8_E4M3 " : "U8 ") + wanted + ", one for " + size + " of " + shape,
          StorageReader.describe(scale));
    }
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    List<TensorInfo> stored = new ArrayList<>(List.of(codes, scale));
    if (global) {
      TensorInfo divisor = reader.require(prefix + GLOBAL_SCALE, codes);
      if (divisor.dtype() != DType.F32 || divisor.shape().elements() != 1) {
        throw new FormatException(
            reader.where(divisor), "one F32 scale", StorageReader.describe(divisor));
      }
      stored.add(divisor);
      parts.put(Part.GLOBAL_SCALE, reader.checkpoint().data(divisor));
      reader.find(prefix + "input_global_scale").ifPresent(stored::add);
    }
    adopt(prefix, codes, scale, scheme, shape, PartLayout.PLAIN, parts, stored);
  }

  private void adopt(
      String prefix,
      TensorInfo codes,
      TensorInfo scale,
      QuantScheme scheme,
      Shape shape,
      PartLayout layout,
      Map<Part, MemorySegment> parts,
      List<TensorInfo> stored) {
    parts.put(Part.CODES, reader.checkpoint().data(codes));
    parts.put(Part.SCALE, reader.checkpoint().data(scale));
    DType dtype =
        reader.sourceDtype(prefix, StorageReader.isFloat(scale) ? scale.dtype() : DType.BF16);
    reader.adopt(
        codes,
        prefix + "weight",
        new CompressedTensorsStorage(),
        new QuantizedTensor(scheme, shape, dtype, parts, layout),
        stored);
  }
}
