package dev.nibble.formats.quant;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Map;

/// The grids of {@link AbsmaxInt8} and {@link LlmInt8}: 255 codes around zero.
final class SignedGrid extends IntegerGrid {
  private final boolean throughHalf;
  private final MemorySegment scales;

  /// @param throughHalf whether it is LLM.int8's, which stores the absmax itself and sees all
  ///   numbers in fp16
  SignedGrid(int blockSize, boolean throughHalf, Shape weight, SegmentAllocator statistics) {
    super(blockSize, weight);
    this.throughHalf = throughHalf;
    this.scales = statistics.allocate(Blocks.of(blockSize, weight).count() * 4, 4);
  }

  private static float half(float value) {
    return Float.float16ToFloat(Float.floatToFloat16(value));
  }

  @Override
  public Grid fit(long group, float[] values, int at) {
    float absmax = absmax(values, at);
    float stored = requireFinite(throughHalf ? half(absmax) : absmax / 127f, group);
    scales.set(LittleEndian.FLOAT, group * 4, stored);
    return throughHalf
        ? new Half(stored, stored == 0 ? 0 : 1f / stored * 127f)
        : new Absmax(stored);
  }

  private static int round(float value) {
    return Math.clamp((int) Math.rint(value), -127, 127);
  }

  private record Absmax(float scale) implements Grid {
    @Override
    public int code(float value) {
      return scale == 0 ? 0 : round(value / scale);
    }

    @Override
    public float value(int code) {
      return code * scale;
    }
  }

  private record Half(float absmax, float factor) implements Grid {
    @Override
    public int code(float value) {
      return round(half(value) * factor);
    }

    @Override
    public int nearest(float value) {
      return round(value * factor);
    }

    @Override
    public float value(int code) {
      return code * absmax * LlmInt8.DECODE;
    }
  }

  @Override
  public Map<Part, MemorySegment> finish() {
    return Map.of(Part.SCALE, scales);
  }
}
