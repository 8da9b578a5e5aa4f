package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
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
    for (long i = 0; encoder.surveys() && i < slices; i++) {
      long begin = (backwards ? i : slices - 1 - i) * step;
      long count = Math.min(step, elements - begin);
      encoder.survey(begin, count, source.asSlice(dtype.byteSize(begin), dtype.byteSize(count)));
    }
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

  /// Sum of squared differences of two tensors of equal length.
  public static double squaredError(byte[] left, DType leftType, byte[] right, DType rightType) {
    int count = (int) (left.length * 8L / leftType.bits());
    float[] a = new float[count];
    float[] b = new float[count];
    FloatReader.of(leftType).read(MemorySegment.ofArray(left), 0, a, count);
    FloatReader.of(rightType).read(MemorySegment.ofArray(right), 0, b, count);
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
    }
    return sum;
  }

  /// Compares pieces at any place with the whole.
  public static void decodesAnywhere(QuantizedTensor tensor, long seed) {
    float[] all =
        MemorySegment.ofArray(Codecs.decode(tensor, DType.F32)).toArray(LittleEndian.FLOAT);
    WeightDecoder decoder = tensor.scheme().decoder(tensor);
    DecodeScratch scratch = new DecodeScratch();
    Random random = new Random(seed);
    for (int round = 0; round < 40; round++) {
      int begin = random.nextInt(all.length);
      int count = random.nextInt(Math.min(all.length - begin, 3000) + 1);
      int at = random.nextInt(3);
      float[] piece = new float[at + count];
      decoder.decode(begin, count, piece, at, scratch);
      for (int i = 0; i < count; i++) {
        assertEquals(all[begin + i], piece[at + i], "seed " + seed + " element " + (begin + i));
      }
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> decoder.decode(all.length, 1, new float[1], 0, scratch));
  }
}
