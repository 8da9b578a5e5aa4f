package dev.nibble.converter.internal;

import dev.nibble.converter.ConversionException;
import dev.nibble.converter.SourceTensor;
import dev.nibble.converter.algorithm.WeightRows;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Text;
import dev.nibble.formats.internal.simd.FloatReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/// Rows of a weight of the source.
public final class SourceRows implements WeightRows {
  private final SourceTensor tensor;
  private final Path file;
  private final TensorReader reader;
  private final FloatReader floats;
  private final int rows;
  private final int columns;

  /// @param source borrowed
  /// @param tensor a matrix of it
  public SourceRows(OpenModel source, SourceTensor tensor) {
    this.tensor = tensor;
    this.file = source.checkpoint().files().get(tensor.file()).path();
    this.reader = new TensorReader(source, tensor);
    this.floats = FloatReader.of(tensor.dtype());
    this.rows = Math.toIntExact(tensor.shape().dim(0));
    this.columns = Math.toIntExact(tensor.shape().dim(1));
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int columns() {
    return columns;
  }

  /// @throws ConversionException at a value that is not finite, of which no algorithm can make
  ///   anything
  @Override
  public void read(int first, int count, float[] target) {
    int elements = Math.multiplyExact(count, columns);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer =
          arena.allocate(Math.max(1, TensorReader.bufferBytes(tensor, elements)), 64);
      floats.read(reader.read((long) first * columns, elements, buffer), 0, target, elements);
    }
    for (int i = 0; i < elements; i++) {
      if (!Float.isFinite(target[i])) {
        throw new ConversionException(
            "%s: tensor '%s' holds a value at row %d, column %d that is not finite: repair the checkpoint, or keep the layer with --skip"
                .formatted(file, Text.printable(tensor.name()), first + i / columns, i % columns));
      }
    }
  }
}
