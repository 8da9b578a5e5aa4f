package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;
import java.util.EnumMap;
import java.util.Map;

/// {@link VectorFloats}, each conversion once {@link Warmup} finds it compiled; {@link
/// ScalarFloats} until then.
final class WarmingFloats {
  private static final Map<DType, Warmup> READ = warmups();
  private static final Map<DType, Warmup> WRITE = warmups();

  private WarmingFloats() {}

  private static Map<DType, Warmup> warmups() {
    Map<DType, Warmup> warmups = new EnumMap<>(DType.class);
    for (DType type : DType.values()) {
      warmups.put(type, new Warmup());
    }
    return warmups;
  }

  static FloatReader reader(DType type) {
    FloatReader vector = VectorFloats.reader(type);
    FloatReader scalar = ScalarFloats.reader(type);
    Warmup warmup = READ.getOrDefault(type, new Warmup());
    return (source, first, target, count) -> {
      if (warmup.isWarm()) {
        vector.read(source, first, target, count);
      } else {
        warmup.run(
            count,
            () -> vector.read(source, first, target, count),
            () -> scalar.read(source, first, target, count));
      }
    };
  }

  static FloatWriter writer(DType type) {
    FloatWriter vector = VectorFloats.writer(type);
    FloatWriter scalar = ScalarFloats.writer(type);
    Warmup warmup = WRITE.getOrDefault(type, new Warmup());
    return (source, count, target, first) -> {
      if (warmup.isWarm()) {
        vector.write(source, count, target, first);
      } else {
        warmup.run(
            count,
            () -> vector.write(source, count, target, first),
            () -> scalar.write(source, count, target, first));
      }
    };
  }
}
