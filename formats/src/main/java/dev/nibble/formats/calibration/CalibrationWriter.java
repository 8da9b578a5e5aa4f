package dev.nibble.formats.calibration;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Writes a file of statistics, which {@link CalibrationFile} reads. Every input that was announced
/// must be written, and its Hessian by rows where it was announced with one.
public final class CalibrationWriter implements AutoCloseable {
  private final SafetensorsWriter writer;

  private CalibrationWriter(SafetensorsWriter writer) {
    this.writer = writer;
  }

  /// An input to be written.
  ///
  /// @param name module path of the first layer that takes it
  /// @param features width of a row
  /// @param sampleRows rows of the sample
  /// @param hessian whether XᵀX will be written
  public record Input(String name, int features, int sampleRows, boolean hessian) {}

  /// The sums over all rows of an input, apart from XᵀX.
  ///
  /// @param count rows
  /// @param absSum `Σ|x|`, `[in]`
  /// @param absMax `max |x|`, `[in]`
  /// @param squareSum `Σx²`, `[in]`
  /// @param sample some rows, `[sampleRows, in]`
  @SuppressWarnings("ArrayRecordComponent") // numbers on their way to a file, compared by nobody
  public record Sums(
      long count, double[] absSum, float[] absMax, double[] squareSum, float[] sample) {}

  /// Creates the file, or empties it. The caller closes.
  ///
  /// @param shown its name in messages: the one it will have once it is complete
  /// @throws IOException if it can't be; the message names the file
  public static CalibrationWriter create(
      Path file, Path shown, CalibrationHeader header, List<Input> inputs) throws IOException {
    List<TensorSpec> tensors = new ArrayList<>();
    for (Input input : inputs) {
      String name = input.name();
      Shape row = Shape.of(input.features());
      tensors.add(new TensorSpec(name + StatisticsReader.COUNT, DType.I64, Shape.of(1)));
      tensors.add(new TensorSpec(name + StatisticsReader.ABS_SUM, DType.F64, row));
      tensors.add(new TensorSpec(name + StatisticsReader.ABS_MAX, DType.F32, row));
      tensors.add(new TensorSpec(name + StatisticsReader.SQUARE_SUM, DType.F64, row));
      tensors.add(
          new TensorSpec(
              name + StatisticsReader.SAMPLE,
              DType.F32,
              Shape.of(input.sampleRows(), input.features())));
      if (input.hessian()) {
        tensors.add(
            new TensorSpec(
                name + StatisticsReader.HESSIAN,
                DType.F32,
                Shape.of(input.features(), input.features())));
      }
    }
    SafetensorsLayout layout = SafetensorsLayout.plan(tensors, List.of(), HeaderText.write(header));
    return new CalibrationWriter(SafetensorsWriter.create(file, layout, shown));
  }

  /// Writes everything of an input but its Hessian.
  public void write(String name, Sums sums) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      put(name + StatisticsReader.COUNT, arena.allocateFrom(LittleEndian.LONG, sums.count()));
      put(name + StatisticsReader.ABS_SUM, arena.allocateFrom(LittleEndian.DOUBLE, sums.absSum()));
      put(name + StatisticsReader.ABS_MAX, arena.allocateFrom(LittleEndian.FLOAT, sums.absMax()));
      put(
          name + StatisticsReader.SQUARE_SUM,
          arena.allocateFrom(LittleEndian.DOUBLE, sums.squareSum()));
      put(name + StatisticsReader.SAMPLE, arena.allocateFrom(LittleEndian.FLOAT, sums.sample()));
    }
  }

  private void put(String tensor, MemorySegment bytes) throws IOException {
    writer.write(tensor, 0, bytes);
  }

  /// Writes whole XᵀX of an input.
  ///
  /// @param values F32 `[in, in]`, little-endian
  public void writeHessian(String name, MemorySegment values) throws IOException {
    put(name + StatisticsReader.HESSIAN, values);
  }

  /// Completes the file and makes it durable.
  public void finish() throws IOException {
    writer.finish();
  }

  @Override
  public void close() throws IOException {
    writer.close();
  }
}
