package dev.nibble.runtime.cpu;

import dev.nibble.formats.quant.ActivationType;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Arrays;

/// Rows rounded to 8 bits and back, see {@link dev.nibble.runtime.tensor.Ops#fakeQuantRows}.
final class FakeQuantization {
  private static final double COST = 1;

  /// Exponents of E4M3: below the least normal number steps stay as they are.
  private static final int LEAST_EXPONENT = -6;

  private static final int MANTISSA_BITS = 3;

  private final Machine machine;

  FakeQuantization(Machine machine) {
    this.machine = machine;
  }

  void rows(Tensor x, ActivationType type, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int d = x.dim(-1);
    machine.overRange(
        x.elements() / Math.max(1, d),
        COST * d,
        (begin, end) -> {
          for (int row = begin; row < end; row++) {
            float scale = absmax(a, at + row * d, d) / type.largest();
            if (scale == 0) {
              Arrays.fill(out, row * d, row * d + d, 0);
              continue;
            }
            switch (type) {
              case INT8 -> int8(a, at + row * d, scale, out, row * d, d);
              case FP8_E4M3 -> e4m3(a, at + row * d, scale, out, row * d, d);
            }
          }
        });
  }

  private static float absmax(float[] a, int from, int count) {
    float most = 0;
    for (int i = 0; i < count; i++) {
      most = Math.max(most, Math.abs(a[from + i]));
    }
    return most;
  }

  private static void int8(float[] a, int from, float scale, float[] out, int to, int count) {
    for (int i = 0; i < count; i++) {
      float code = (float) Math.rint(a[from + i] / scale);
      out[to + i] = Math.min(127, Math.max(-127, code)) * scale;
    }
  }

  private static void e4m3(float[] a, int from, float scale, float[] out, int to, int count) {
    for (int i = 0; i < count; i++) {
      out[to + i] = e4m3(Math.min(448, Math.max(-448, a[from + i] / scale))) * scale;
    }
  }

  /// The nearest number of E4M3 to one from -448 to 448, ties to even: a multiple of the step that
  /// its exponent has.
  private static float e4m3(float value) {
    int exponent = Math.max(Math.getExponent(value), LEAST_EXPONENT);
    float step = Float.intBitsToFloat((exponent - MANTISSA_BITS + 127) << 23);
    return (float) Math.rint(value / step) * step;
  }
}
