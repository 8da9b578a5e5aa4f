package dev.nibble.runtime.cpu;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.quant.DecodeScratch;
import dev.nibble.formats.quant.WeightDecoder;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.WeightSource;
import java.lang.foreign.MemorySegment;

/// A matrix in its stored form, decoded as it is used.
final class CpuLinearWeight implements LinearWeight {
  private final int outFeatures;
  private final int inFeatures;
  private final long byteSize;
  private final Rows rows;

  /// Decodes elements `[first, first + count)` to `target[0..count)`.
  @FunctionalInterface
  private interface Rows {
    void read(long first, float[] target, int count, DecodeScratch scratch);
  }

  CpuLinearWeight(WeightSource source) {
    Shape shape = source.shape();
    if (shape.rank() != 2) {
      throw new IllegalArgumentException("a linear weight has two axes, not " + shape);
    }
    outFeatures = Math.toIntExact(shape.dim(0));
    inFeatures = Math.toIntExact(shape.dim(1));
    switch (source) {
      case WeightSource.Dense(MemorySegment data, DType dtype, Shape _) -> {
        FloatReader reader = FloatReader.of(dtype);
        byteSize = data.byteSize();
        rows = (first, target, count, _) -> reader.read(data, first, target, count);
      }
      case WeightSource.Quantized(var tensor) -> {
        WeightDecoder decoder = tensor.scheme().decoder(tensor);
        byteSize = tensor.parts().values().stream().mapToLong(MemorySegment::byteSize).sum();
        rows = (first, target, count, scratch) -> decoder.decode(first, count, target, 0, scratch);
      }
    }
  }

  static CpuLinearWeight of(LinearWeight weight) {
    if (weight instanceof CpuLinearWeight mine) {
      return mine;
    }
    throw new IllegalArgumentException("a weight of another backend in an operation of the CPU");
  }

  @Override
  public int outFeatures() {
    return outFeatures;
  }

  @Override
  public int inFeatures() {
    return inFeatures;
  }

  @Override
  public long byteSize() {
    return byteSize;
  }

  /// Decodes rows `[begin, begin + count)` to the front of `target`.
  void read(int begin, int count, float[] target, DecodeScratch scratch) {
    rows.read((long) begin * inFeatures, target, count * inFeatures, scratch);
  }
}
