package dev.nibble.runtime.tensor;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.WeightEncoder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.Map;

/// Weight matrices in every form that a checkpoint may have.
public final class TestWeights {
  private TestWeights() {}

  /// Plain numbers of that type.
  public static WeightSource dense(float[] values, DType type, long rows, long columns) {
    return new WeightSource.Dense(bytes(values, type), type, Shape.of(rows, columns));
  }

  /// The numbers quantized.
  public static WeightSource quantized(
      float[] values, QuantScheme scheme, long rows, long columns) {
    Shape shape = Shape.of(rows, columns);
    MemorySegment source = bytes(values, DType.F32);
    MemorySegment codes = allocate(scheme.codeBytes(values.length));
    WeightEncoder encoder = scheme.encoder(shape, DType.F32, Arena.ofAuto());
    encoder.survey(0, values.length, source);
    encoder.encode(0, values.length, source, codes);
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    parts.putAll(encoder.finish());
    parts.put(Part.CODES, codes);
    return new WeightSource.Quantized(new QuantizedTensor(scheme, shape, DType.F32, parts));
  }

  private static MemorySegment bytes(float[] values, DType type) {
    MemorySegment bytes = allocate(type.byteSize(values.length));
    if (type == DType.F64) {
      for (int i = 0; i < values.length; i++) {
        bytes.setAtIndex(ValueLayout.JAVA_DOUBLE, i, values[i]);
      }
      return bytes;
    }
    FloatWriter.of(type).write(values, values.length, bytes, 0);
    return bytes;
  }

  /// Outside the heap, as the mapped files of checkpoints are.
  private static MemorySegment allocate(long bytes) {
    return Arena.ofAuto().allocate(bytes, 64);
  }
}
