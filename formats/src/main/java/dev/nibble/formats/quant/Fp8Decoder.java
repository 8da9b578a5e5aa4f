package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import java.lang.foreign.MemorySegment;

/// Reads 8-bit floats. Slices may begin anywhere.
final class Fp8Decoder implements WeightDecoder {
  private static final int BUFFER = 8192;

  private final Fp8 scheme;
  private final MemorySegment codes;
  private final MemorySegment scales;
  private final FloatReader reader;
  private final long elements;
  private final long columns;
  private final long tilesPerRow;

  Fp8Decoder(Fp8 scheme, QuantizedTensor tensor) {
    this.scheme = scheme;
    this.codes = tensor.part(Part.CODES);
    this.scales =
        scheme.scaling() == Fp8.Scaling.NONE ? MemorySegment.NULL : tensor.part(Part.SCALE);
    this.reader = FloatReader.of(scheme.type().dtype());
    this.elements = tensor.shape().elements();
    this.columns = Math.max(1, tensor.shape().last());
    this.tilesPerRow = Math.ceilDiv(columns, Fp8.TILE);
  }

  @Override
  public void decode(long begin, long count, MemorySegment target, DType type) {
    require(begin, count);
    FloatWriter writer = FloatWriter.of(type);
    float[] values = new float[(int) Math.min(count, BUFFER)];
    for (long at = 0; at < count; at += BUFFER) {
      int length = (int) Math.min(BUFFER, count - at);
      reader.read(codes, begin + at, values, length);
      scale(begin + at, values, 0, length);
      writer.write(values, length, target, at);
    }
  }

  @Override
  public void decode(long begin, int count, float[] target, int at, DecodeScratch scratch) {
    require(begin, count);
    float[] values = at == 0 ? target : scratch.floats(count);
    reader.read(codes, begin, values, count);
    if (at != 0) {
      System.arraycopy(values, 0, target, at, count);
    }
    scale(begin, target, at, count);
  }

  private void require(long begin, long count) {
    if (begin < 0 || count < 0 || begin > elements - count) {
      throw new IllegalArgumentException(
          "%d elements at %d do not fit a weight of %d".formatted(count, begin, elements));
    }
  }

  /// Multiplies run by run of one scale.
  private void scale(long begin, float[] values, int at, int count) {
    if (scheme.scaling() == Fp8.Scaling.NONE) {
      return;
    }
    int done = 0;
    while (done < count) {
      long row = (begin + done) / columns;
      long column = (begin + done) % columns;
      long run =
          switch (scheme.scaling()) {
            case NONE, TENSOR -> count;
            case ROW -> columns - column;
            case TILE -> Math.min(columns - column, Fp8.TILE - column % Fp8.TILE);
          };
      int end = (int) Math.min(count, done + run);
      float scale = ScaleType.get(scales, scaleIndex(row, column), scheme.scale());
      for (int i = at + done; i < at + end; i++) {
        values[i] *= scale;
      }
      done = end;
    }
  }

  private long scaleIndex(long row, long column) {
    return switch (scheme.scaling()) {
      case NONE, TENSOR -> 0;
      case ROW -> row;
      case TILE -> row / Fp8.TILE * tilesPerRow + column / Fp8.TILE;
    };
  }
}
