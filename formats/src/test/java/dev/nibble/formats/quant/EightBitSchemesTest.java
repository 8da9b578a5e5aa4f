package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.Codecs.Encoded;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What every 8-bit scheme promises beyond its goldens: slices, errors, what isn't finite, odd
/// shapes.
class EightBitSchemesTest {
  private static final long SEED = 99;

  static Stream<QuantScheme> schemes() {
    return Stream.of(
        new LlmInt8(),
        new AbsmaxInt8(0),
        new AbsmaxInt8(64),
        new AffineInt8(0),
        new AffineInt8(48),
        new DynamicInt8(256));
  }

  private static MemorySegment gaussian(Shape shape, DType dtype, long seed) {
    Random random = new Random(seed);
    float[] x = new float[(int) shape.elements()];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian() * 0.02f;
    }
    MemorySegment segment = MemorySegment.ofArray(new byte[(int) dtype.byteSize(x.length)]);
    FloatWriter.of(dtype).write(x, x.length, segment, 0);
    return segment;
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void slicesDoNotShow(QuantScheme scheme) {
    for (Shape shape :
        List.of(Shape.of(70, 300), Shape.of(3, 40_001), Shape.of(9, 7, 5, 3), Shape.of(5000, 1))) {
      MemorySegment source = gaussian(shape, DType.BF16, SEED);
      byte[] codes = null;
      QuantError error = null;
      for (int round = 0; round < 4; round++) {
        Random random = new Random(SEED + round);
        Encoded encoded =
            Codecs.encode(
                scheme,
                scheme.encoder(shape, DType.BF16, Arena.ofAuto()),
                shape,
                DType.BF16,
                source,
                random);
        byte[] found = encoded.bytes(Part.CODES);
        if (codes == null || error == null) {
          codes = found;
          error = encoded.encoder().error();
        }
        assertArrayEquals(codes, found, "seed " + SEED + " round " + round);
        assertEquals(error, encoded.encoder().error(), "seed " + SEED + " round " + round);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void manyThreadsGiveTheSameBytes(QuantScheme scheme) throws InterruptedException {
    Shape shape = Shape.of(64, 2048);
    MemorySegment source = gaussian(shape, DType.F32, SEED);
    Encoded expected = Codecs.encode(scheme, shape, DType.F32, source);
    WeightEncoder encoder = scheme.encoder(shape, DType.F32, Arena.ofAuto());
    MemorySegment codes = MemorySegment.ofArray(new byte[(int) shape.elements()]);
    long step = scheme.sliceAlignment(shape);
    List<Thread> threads =
        Stream.iterate(0L, i -> i < shape.elements(), i -> i + step)
            .map(i -> {
              long count = Math.min(step, shape.elements() - i);
              return Thread.ofPlatform()
                  .start(() ->
                      encoder.encode(
                          i, count, source.asSlice(i * 4, count * 4), codes.asSlice(i, count)));
            })
            .toList();
    for (Thread thread : threads) {
      thread.join();
    }
    encoder.finish();
    assertEquals(expected.encoder().error(), encoder.error());
    assertEquals(-1, codes.mismatch(expected.part(Part.CODES)));
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void errorIsThatOfTheDecodedNumbers(QuantScheme scheme) {
    Shape shape = Shape.of(33, 301);
    MemorySegment source = gaussian(shape, DType.F16, SEED);
    Encoded encoded = Codecs.encode(scheme, shape, DType.F16, source);
    QuantizedTensor tensor = new QuantizedTensor(scheme, shape, DType.F16, encoded.parts());
    float[] decoded =
        MemorySegment.ofArray(Codecs.decode(tensor, DType.F32)).toArray(LittleEndian.FLOAT);
    float[] x = new float[decoded.length];
    FloatReader.of(DType.F16).read(source, 0, x, x.length);
    double squares = 0;
    double errors = 0;
    double max = 0;
    for (int i = 0; i < x.length; i++) {
      double difference = (double) x[i] - decoded[i];
      squares += (double) x[i] * x[i];
      errors += difference * difference;
      max = Math.max(max, Math.abs(difference));
    }
    QuantError error = encoded.encoder().error();
    assertEquals(x.length, error.elements());
    assertEquals(squares, error.sumSquares(), 1e-5 * squares);
    assertEquals(errors, error.sumSquaredErrors(), 1e-5 * errors);
    assertEquals(max, error.maxError(), 1e-6 * max);
    assertTrue(error.snrDb() > 30, scheme.id() + " " + error.snrDb());
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void firstNonFiniteElementIsFoundAndItsBlockDecodesToNan(QuantScheme scheme) {
    Shape shape = Shape.of(40, 512);
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      MemorySegment source = gaussian(shape, DType.F32, SEED);
      assertEquals(
          OptionalLong.empty(),
          Codecs.encode(scheme, shape, DType.F32, source).encoder().nonFinite());
      source.set(LittleEndian.FLOAT, 4 * 15_000, bad);
      source.set(LittleEndian.FLOAT, 4 * 10_003, bad);
      source.set(LittleEndian.FLOAT, 4 * 10_001, bad);
      Encoded encoded = Codecs.encode(scheme, shape, DType.F32, source);
      assertEquals(OptionalLong.of(10_001), encoded.encoder().nonFinite());
      QuantizedTensor tensor = new QuantizedTensor(scheme, shape, DType.F32, encoded.parts());
      float[] decoded =
          MemorySegment.ofArray(Codecs.decode(tensor, DType.F32)).toArray(LittleEndian.FLOAT);
      assertTrue(Float.isNaN(decoded[10_001]) && Float.isNaN(decoded[10_000]));
      assertTrue(Float.isFinite(decoded[0]) && Float.isFinite(decoded[20_000]));
      assertTrue(Double.isFinite(encoded.encoder().error().snrDb()));
    }
  }

  @Test
  void numbersBeyondFp16AreNotFiniteInLlmInt8() {
    Shape shape = Shape.of(2, 64);
    MemorySegment source = gaussian(shape, DType.F32, SEED);
    source.set(LittleEndian.FLOAT, 4 * 70, Math.nextDown(65520f));
    assertEquals(
        OptionalLong.empty(),
        Codecs.encode(new LlmInt8(), shape, DType.F32, source).encoder().nonFinite());
    source.set(LittleEndian.FLOAT, 4 * 70, -65520f);
    assertEquals(
        OptionalLong.of(70),
        Codecs.encode(new LlmInt8(), shape, DType.F32, source).encoder().nonFinite());
  }

  /// Rows of BF16 numbers around 2^-17, where fp16 begins to round them, at absmax above and below
  /// the one from which the encoder leaves that rounding out.
  @Test
  void leavingOutTheFp16RoundingChangesNoCode() {
    Shape shape = Shape.of(400, 512);
    Random random = new Random(SEED);
    float[] x = new float[400 * 512];
    for (int row = 0; row < 400; row++) {
      float absmax = Math.scalb(1 + random.nextFloat(), -6 - random.nextInt(9));
      for (int i = 0; i < 512; i++) {
        float value = Math.scalb(random.nextFloat() * 2 - 1, -random.nextInt(20) - 6);
        x[row * 512 + i] = Math.clamp(value, -absmax, absmax);
      }
      x[row * 512 + 17] = row % 5 == 0 ? 0x1p-9f : absmax;
      x[row * 512 + 18] = Math.nextUp(0x1p-17f);
    }
    MemorySegment bf16 = MemorySegment.ofArray(new byte[x.length * 2]);
    FloatWriter.of(DType.BF16).write(x, x.length, bf16, 0);
    FloatReader.of(DType.BF16).read(bf16, 0, x, x.length);
    MemorySegment half = MemorySegment.ofArray(new byte[x.length * 2]);
    FloatWriter.of(DType.F16).write(x, x.length, half, 0);
    Encoded wide = Codecs.encode(new LlmInt8(), shape, DType.BF16, bf16);
    Encoded narrow = Codecs.encode(new LlmInt8(), shape, DType.F16, half);
    assertArrayEquals(narrow.bytes(Part.CODES), wide.bytes(Part.CODES), "seed " + SEED);
    assertArrayEquals(narrow.bytes(Part.SCALE), wide.bytes(Part.SCALE), "seed " + SEED);
  }

  @Test
  void anAffineRangeThatOverflowsIsReported() {
    Shape shape = Shape.of(1, 64);
    MemorySegment source = gaussian(shape, DType.F32, SEED);
    source.set(LittleEndian.FLOAT, 8, 3e38f);
    source.set(LittleEndian.FLOAT, 12, -3e38f);
    assertEquals(
        OptionalLong.of(0),
        Codecs.encode(new AffineInt8(0), shape, DType.F32, source).encoder().nonFinite());
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void tinyHugeAndZeroBlocksSurvive(QuantScheme scheme) {
    Shape shape = Shape.of(8, 256);
    for (float size : new float[] {0f, 7 * Float.MIN_VALUE, 3e-39f, 1e-20f, 1e20f, 1e38f}) {
      if (scheme instanceof LlmInt8 && size != 0) {
        continue; // fp16 holds none of these
      }
      MemorySegment source = MemorySegment.ofArray(new byte[8 * 256 * 4]);
      Random random = new Random(SEED);
      for (int i = 0; i < 2048; i++) {
        source.set(LittleEndian.FLOAT, 4L * i, (random.nextFloat() * 2 - 1) * size);
      }
      Encoded encoded = Codecs.encode(scheme, shape, DType.F32, source);
      assertEquals(OptionalLong.empty(), encoded.encoder().nonFinite(), scheme.id() + " " + size);
      QuantizedTensor tensor = new QuantizedTensor(scheme, shape, DType.F32, encoded.parts());
      float[] decoded =
          MemorySegment.ofArray(Codecs.decode(tensor, DType.F32)).toArray(LittleEndian.FLOAT);
      double worst = 0;
      for (int i = 0; i < 2048; i++) {
        worst =
            Math.max(worst, Math.abs(decoded[i] - (double) source.get(LittleEndian.FLOAT, 4L * i)));
      }
      assertTrue(worst <= size * 0.06 + 100 * Float.MIN_VALUE, scheme.id() + " " + size);
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void oddShapesWork(QuantScheme scheme) {
    for (Shape shape :
        List.of(
            Shape.of(), Shape.of(0), Shape.of(0, 5), Shape.of(5, 0), Shape.of(1), Shape.of(3))) {
      Encoded encoded = Codecs.encode(scheme, shape, DType.F16, gaussian(shape, DType.F16, SEED));
      QuantizedTensor tensor = new QuantizedTensor(scheme, shape, DType.F16, encoded.parts());
      assertEquals(shape.elements() * 2, Codecs.decode(tensor, DType.BF16).length);
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void decodingInPiecesIsDecodingAtOnce(QuantScheme scheme) {
    Shape shape = Shape.of(37, 600);
    Encoded encoded = Codecs.encode(scheme, shape, DType.F32, gaussian(shape, DType.F32, SEED));
    QuantizedTensor tensor = new QuantizedTensor(scheme, shape, DType.F32, encoded.parts());
    for (DType type : List.of(DType.F32, DType.BF16, DType.F16)) {
      byte[] whole = Codecs.decode(tensor, type);
      byte[] pieces = new byte[whole.length];
      WeightDecoder decoder = scheme.decoder(tensor);
      long step = 1234;
      for (long at = 0; at < shape.elements(); at += step) {
        long count = Math.min(step, shape.elements() - at);
        decoder.decode(
            at,
            count,
            MemorySegment.ofArray(pieces).asSlice(type.byteSize(at), type.byteSize(count)),
            type);
      }
      assertArrayEquals(whole, pieces);
    }
  }

  @Test
  void flippedCodesDecodeToTheSameNumbers() {
    Shape shape = Shape.of(20, 100);
    AffineInt8 scheme = new AffineInt8(50);
    Encoded encoded = Codecs.encode(scheme, shape, DType.F32, gaussian(shape, DType.F32, SEED));
    QuantizedTensor plain = new QuantizedTensor(scheme, shape, DType.F32, encoded.parts());
    for (Part part : List.of(Part.CODES, Part.ZERO_POINT)) {
      MemorySegment bytes = encoded.part(part);
      for (long i = 0; i < bytes.byteSize(); i++) {
        bytes.set(JAVA_BYTE, i, (byte) (bytes.get(JAVA_BYTE, i) ^ 0x80));
      }
    }
    byte[] flipped =
        Codecs.decode(
            new QuantizedTensor(scheme, shape, DType.F32, encoded.parts(), PartLayout.SIGNED),
            DType.F32);
    for (Part part : List.of(Part.CODES, Part.ZERO_POINT)) {
      MemorySegment bytes = encoded.part(part);
      for (long i = 0; i < bytes.byteSize(); i++) {
        bytes.set(JAVA_BYTE, i, (byte) (bytes.get(JAVA_BYTE, i) ^ 0x80));
      }
    }
    assertArrayEquals(Codecs.decode(plain, DType.F32), flipped);
    assertThrows(
        IllegalArgumentException.class,
        () ->
            new QuantizedTensor(
                new LlmInt8(), shape, DType.F32, encoded.parts(), PartLayout.SIGNED));
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void slicesThatDoNotFitAreRefused(QuantScheme scheme) {
    Shape shape = Shape.of(40, 512);
    WeightEncoder encoder = scheme.encoder(shape, DType.F32, Arena.ofAuto());
    MemorySegment source = gaussian(shape, DType.F32, SEED);
    MemorySegment codes = MemorySegment.ofArray(new byte[40 * 512]);
    assertThrows(
        IllegalArgumentException.class,
        () -> encoder.encode(1, 512, source.asSlice(4, 2048), codes.asSlice(1, 512)));
    assertThrows(
        IllegalArgumentException.class,
        () -> encoder.encode(0, 511, source.asSlice(0, 2044), codes.asSlice(0, 511)));
    assertThrows(
        IllegalArgumentException.class,
        () -> encoder.encode(0, 40 * 512, source.asSlice(0, 2048), codes));
    assertThrows(IllegalStateException.class, encoder::error);
  }
}
