package dev.nibble.runtime.bench;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.WeightEncoder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;

/// Weights of normal numbers, as those of trained models are. Like weights share memory. For one
/// thread.
final class RandomWeights {
  private static final int PERIOD = 1 << 18;
  private static final double DEVIATION = 0.02;

  private final Arena arena;
  private final float[] numbers = new float[PERIOD];
  private final Map<Shape, QuantizedTensor> quantized = new HashMap<>();

  /// @param arena owns the weights
  RandomWeights(Arena arena) {
    this.arena = arena;
    Random random = new Random(1);
    for (int i = 0; i < PERIOD; i++) {
      numbers[i] = (float) (DEVIATION * random.nextGaussian());
    }
  }

  /// Numbers of a type.
  MemorySegment dense(DType type, Shape shape) {
    return dense(type, shape, arena);
  }

  private MemorySegment dense(DType type, Shape shape, Arena owner) {
    MemorySegment bytes = owner.allocate(type.byteSize(shape.elements()), 64);
    MemorySegment period = owner.allocate(type.byteSize(PERIOD), 64);
    FloatWriter.of(type).write(numbers, PERIOD, period, 0);
    for (long at = 0; at < bytes.byteSize(); at += period.byteSize()) {
      long size = Math.min(period.byteSize(), bytes.byteSize() - at);
      MemorySegment.copy(period, 0, bytes, at, size);
    }
    return bytes;
  }

  /// The same quantized; the second weight of a shape is the first.
  ///
  /// @param scheme always the same
  QuantizedTensor quantized(QuantScheme scheme, Shape shape) {
    return quantized.computeIfAbsent(shape, _ -> encode(scheme, shape));
  }

  private QuantizedTensor encode(QuantScheme scheme, Shape shape) {
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment source = dense(DType.BF16, shape, scratch);
      MemorySegment codes = arena.allocate(scheme.codeBytes(shape.elements()), 64);
      WeightEncoder encoder = scheme.encoder(shape, DType.BF16, arena);
      encoder.encode(0, shape.elements(), source, codes);
      Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
      parts.putAll(encoder.finish());
      parts.put(Part.CODES, codes);
      return new QuantizedTensor(scheme, shape, DType.BF16, parts);
    }
  }
}
