package dev.nibble.converter.algorithm;

import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.GridEncoder;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.stream.IntStream;

/// A weight quantized row by row.
final class Quantized {
  private final float[] values;
  private final byte[] codes;
  private final Map<Part, MemorySegment> parts;

  private Quantized(float[] values, byte[] codes, Map<Part, MemorySegment> parts) {
    this.values = values;
    this.codes = codes;
    this.parts = parts;
  }

  /// What a reader decodes.
  float[] values() {
    return values;
  }

  byte[] codes() {
    return codes;
  }

  MemorySegment part(Part part) {
    MemorySegment segment = parts.get(part);
    if (segment == null) {
      throw new AssertionError("no part " + part);
    }
    return segment;
  }

  /// Quantizes in slices of some rows, all at once.
  static Quantized of(
      float[] weight, int rows, QuantScheme scheme, RowQuantizer quantizer, int slice) {
    int columns = weight.length / rows;
    GridEncoder grid = scheme.grid(Shape.of(rows, columns), Arena.ofAuto()).orElseThrow();
    quantizer.prepare(grid);
    grid.survey(0, rows, weight);
    grid.surveyed();
    float[] values = new float[weight.length];
    byte[] codes = new byte[weight.length];
    IntStream.range(0, Math.ceilDiv(rows, slice))
        .parallel()
        .forEach(i -> {
          int first = i * slice;
          int count = Math.min(slice, rows - first);
          float[] part = new float[count * columns];
          byte[] own = new byte[count * columns];
          System.arraycopy(weight, first * columns, part, 0, part.length);
          quantizer.quantize(first, count, part, grid, own);
          System.arraycopy(part, 0, values, first * columns, part.length);
          System.arraycopy(own, 0, codes, first * columns, part.length);
        });
    return new Quantized(values, codes, grid.finish());
  }
}
