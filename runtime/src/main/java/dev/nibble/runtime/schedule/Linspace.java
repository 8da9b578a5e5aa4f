package dev.nibble.runtime.schedule;

/// Evenly spaced numbers, rounded as the peers round them.
final class Linspace {
  private Linspace() {}

  /// `torch.linspace` in float32 on the CPU: from both ends towards the middle, with the fused
  /// multiply-add that torch uses on every x86 processor of the last ten years.
  static float[] float32(double start, double end, int count) {
    float first = (float) start;
    float last = (float) end;
    float[] values = new float[count];
    float step = (last - first) / (count - 1);
    for (int i = 0; i < count; i++) {
      values[i] = i < count / 2 ? Math.fma(step, i, first) : Math.fma(-step, count - 1 - i, last);
    }
    if (count == 1) {
      values[0] = first;
    }
    return values;
  }

  /// `numpy.linspace` in float64, then rounded.
  static float[] float64(double start, double end, int count) {
    float[] values = new float[count];
    double step = (end - start) / (count - 1);
    values[0] = (float) start;
    for (int i = 1; i < count; i++) {
      values[i] = (float) (i == count - 1 ? end : i * step + start);
    }
    return values;
  }
}
