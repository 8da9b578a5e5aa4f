package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;

/// Runs encoders and decoders over whole weights, cut into slices as asked.
public final class Codecs {
  private Codecs() {}

  /// What an encoder made.
  public record Encoded(Map<Part, MemorySegment> parts, WeightEncoder encoder) {
    public MemorySegment part(Part part) {
      MemorySegment segment = parts.get(part);
      if (segment == null) {
        throw new AssertionError("no part " + part);
      }
      return segment;
    }

    public byte[] bytes(Part part) {
      return part(part).toArray(ValueLayout.JAVA_BYTE);
    }
  }

  public static Encoded encode(QuantScheme scheme, Shape shape, DType dtype, MemorySegment source) {
    return encode(
        scheme, scheme.encoder(shape, dtype, Arena.ofAuto()), shape, dtype, source, new Random(0));
  }

  /// Encodes in slices of random length and order.
  public static Encoded encode(
      QuantScheme scheme,
      WeightEncoder encoder,
      Shape shape,
      DType dtype,
      MemorySegment source,
      Random random) {
    long elements = shape.elements();
    long step = scheme.sliceAlignment(shape) * (1 + random.nextInt(3));
    MemorySegment codes = MemorySegment.ofArray(new byte[(int) scheme.codeBytes(elements)]);
    long slices = Math.ceilDiv(elements, step);
    boolean backwards = random.nextBoolean();
    for (long i = 0; i < slices; i++) {
      long begin = (backwards ? slices - 1 - i : i) * step;
      long count = Math.min(step, elements - begin);
      encoder.encode(
          begin,
          count,
          source.asSlice(dtype.byteSize(begin), dtype.byteSize(count)),
          codes.asSlice(scheme.codeBytes(begin), scheme.codeBytes(count)));
    }
    Map<Part, MemorySegment> parts = new HashMap<>(encoder.finish());
    parts.put(Part.CODES, codes);
    return new Encoded(parts, encoder);
  }

  public static byte[] decode(QuantizedTensor tensor, DType type) {
    long elements = tensor.shape().elements();
    byte[] target = new byte[(int) type.byteSize(elements)];
    tensor.scheme().decoder(tensor).decode(0, elements, MemorySegment.ofArray(target), type);
    return target;
  }
}
