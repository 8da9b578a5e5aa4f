package dev.nibble.converter.algorithm;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.DecodeScratch;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.WeightEncoder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.Map;

/// What a reader will see of rows of a weight, through the scheme's own encoder and decoder.
final class RoundTrip {
  private RoundTrip() {}

  /// Replaces values by what is decoded from them. The rows are a weight of their own here: double
  /// quantization, and blocks that don't divide a row, differ a little from those of the whole.
  ///
  /// @param values `[rows, columns]`, row-major
  static void apply(QuantScheme scheme, int rows, int columns, float[] values) {
    Shape shape = Shape.of(rows, columns);
    int count = rows * columns;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment source = arena.allocate(DType.F32.byteSize(count), 64);
      MemorySegment.copy(values, 0, source, LittleEndian.FLOAT, 0, count);
      MemorySegment codes = arena.allocate(scheme.codeBytes(count), 64);
      WeightEncoder encoder = scheme.encoder(shape, DType.F32, arena);
      if (encoder.surveys()) {
        encoder.survey(0, count, source);
      }
      encoder.encode(0, count, source, codes);
      Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
      parts.putAll(encoder.finish());
      parts.put(Part.CODES, codes);
      scheme
          .decoder(new QuantizedTensor(scheme, shape, DType.F32, parts))
          .decode(0, count, values, 0, new DecodeScratch());
    }
  }
}
