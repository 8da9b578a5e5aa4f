package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TestCheckpoint;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class Fp8Test {
  private static final Shape SHAPE = Shape.of(70, 300);

  private static MemorySegment gaussian(Shape shape, long seed) {
    Random random = new Random(seed);
    MemorySegment segment = MemorySegment.ofArray(new byte[(int) shape.elements() * 4]);
    for (int i = 0; i < shape.elements(); i++) {
      segment.set(LittleEndian.FLOAT, 4L * i, (float) random.nextGaussian() * 0.05f);
    }
    return segment;
  }

  /// torch's own casts, with everything that isn't finite.
  @ParameterizedTest
  @EnumSource
  void plainCastsAreTorchs(Fp8Type type) {
    try (TestCheckpoint tables = TestCheckpoint.golden("goldens/fp8/fp8_tables.safetensors")) {
      MemorySegment input = tables.data("cast_input_f32");
      Shape shape = tables.info("cast_input_f32").shape();
      byte[] expected = tables.array(type == Fp8Type.E4M3 ? "cast_e4m3fn" : "cast_e5m2");
      Fp8 scheme = new Fp8(type, Fp8.Scaling.NONE, DType.F32);
      byte[] found = Codecs.encode(scheme, shape, DType.F32, input).bytes(Part.CODES);
      for (int i = 0; i < expected.length; i++) {
        boolean nan = Float.isNaN(input.get(LittleEndian.FLOAT, 4L * i));
        assertEquals(nan ? expected[i] & 0x7f : expected[i], nan ? found[i] & 0x7f : found[i]);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "fp8",
        "fp8:row",
        "fp8:plain",
        "fp8-e5m2",
        "fp8-e5m2:row:bf16",
        "fp8:bf16",
        "fp8:row:f16"
      })
  void slicesDoNotMatter(String id) {
    QuantScheme scheme = QuantSchemes.parse(id);
    assertEquals(id, scheme.id());
    MemorySegment source = gaussian(SHAPE, 5);
    Codecs.Encoded whole = Codecs.encode(scheme, SHAPE, DType.F32, source);
    for (int seed = 1; seed < 5; seed++) {
      Codecs.Encoded cut =
          Codecs.encode(
              scheme,
              scheme.encoder(SHAPE, DType.F32, Arena.ofAuto()),
              SHAPE,
              DType.F32,
              source,
              new Random(seed));
      for (Part part : whole.parts().keySet()) {
        assertArrayEquals(whole.bytes(part), cut.bytes(part), part + " seed " + seed);
      }
      assertEquals(whole.encoder().error(), cut.encoder().error());
    }
    QuantizedTensor tensor = new QuantizedTensor(scheme, SHAPE, DType.F32, whole.parts());
    Codecs.decodesAnywhere(tensor, 6);
    byte[] decoded = Codecs.decode(tensor, DType.F32);
    double squares =
        Codecs.squaredError(source.toArray(ValueLayout.JAVA_BYTE), DType.F32, decoded, DType.F32);
    assertEquals(squares, whole.encoder().error().sumSquaredErrors(), 1e-5 * squares);
  }

  @Test
  void theLargestNumberBecomesTheTypesLargest() {
    MemorySegment source = gaussian(SHAPE, 7);
    source.set(LittleEndian.FLOAT, 4 * 20_000, -3.5f);
    Codecs.Encoded encoded = Codecs.encode(QuantSchemes.parse("fp8"), SHAPE, DType.F32, source);
    assertEquals(3.5f / 448f, encoded.part(Part.SCALE).get(LittleEndian.FLOAT, 0));
    assertEquals((byte) 0xfe, encoded.bytes(Part.CODES)[20_000]);
  }

  @Test
  void zerosStayZeros() {
    Codecs.Encoded encoded =
        Codecs.encode(
            QuantSchemes.parse("fp8"), SHAPE, DType.F32, MemorySegment.ofArray(new byte[84_000]));
    assertEquals(0f, encoded.part(Part.SCALE).get(LittleEndian.FLOAT, 0));
    assertArrayEquals(new byte[21_000], encoded.bytes(Part.CODES));
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp8", "fp8:row", "fp8:plain", "fp8-e5m2:plain"})
  void whatIsNotFiniteIsTold(String id) {
    MemorySegment source = gaussian(SHAPE, 8);
    source.set(LittleEndian.FLOAT, 4 * 12_345, Float.NEGATIVE_INFINITY);
    QuantScheme scheme = QuantSchemes.parse(id);
    for (int seed = 1; seed < 9; seed++) {
      WeightEncoder encoder = scheme.encoder(SHAPE, DType.F32, Arena.ofAuto());
      Codecs.encode(scheme, encoder, SHAPE, DType.F32, source, new Random(seed));
      assertEquals(OptionalLong.of(12_345), encoder.nonFinite(), "seed " + seed);
      assertTrue(Double.isFinite(encoder.error().sumSquaredErrors()));
    }
  }

  @Test
  void whatE5m2CannotHoldIsTold() {
    MemorySegment source = gaussian(SHAPE, 9);
    source.set(LittleEndian.FLOAT, 4 * 77, 61440f);
    assertEquals(
        OptionalLong.of(77),
        Codecs.encode(QuantSchemes.parse("fp8-e5m2:plain"), SHAPE, DType.F32, source)
            .encoder()
            .nonFinite());
  }

  /// Squares of 128 that are cut off at the edges.
  @Test
  void tilesAreRead() {
    Shape shape = Shape.of(130, 300);
    Fp8 scheme = new Fp8(Fp8Type.E4M3, Fp8.Scaling.TILE, DType.F32);
    byte[] codes = new byte[130 * 300];
    java.util.Arrays.fill(codes, (byte) 0x38); // 1
    MemorySegment scales = MemorySegment.ofArray(new byte[24]);
    for (int i = 0; i < 6; i++) {
      scales.set(LittleEndian.FLOAT, 4L * i, i + 1);
    }
    Map<Part, MemorySegment> parts = new HashMap<>();
    parts.put(Part.CODES, MemorySegment.ofArray(codes));
    parts.put(Part.SCALE, scales);
    QuantizedTensor tensor = new QuantizedTensor(scheme, shape, DType.F32, parts);
    float[] decoded =
        MemorySegment.ofArray(Codecs.decode(tensor, DType.F32)).toArray(LittleEndian.FLOAT);
    for (int row = 0; row < 130; row++) {
      for (int column = 0; column < 300; column++) {
        assertEquals(row / 128 * 3 + column / 128 + 1, decoded[row * 300 + column]);
      }
    }
    Codecs.decodesAnywhere(tensor, 10);
    assertThrows(
        UnsupportedOperationException.class,
        () -> scheme.encoder(shape, DType.F32, Arena.ofAuto()));
  }

  @Test
  void namesAreChecked() {
    for (String bad :
        new String[] {"fp8:64", "fp8:plain:bf16", "fp8:tile", "fp8:f64", "fp8-e4m3"}) {
      assertThrows(IllegalArgumentException.class, () -> QuantSchemes.parse(bad), bad);
    }
  }
}
