package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GroupedIntTest {
  private static final long SEED = 2027;

  private static MemorySegment gaussian(Shape shape, long seed) {
    Random random = new Random(seed);
    MemorySegment segment = MemorySegment.ofArray(new byte[(int) shape.elements() * 4]);
    for (int i = 0; i < shape.elements(); i++) {
      segment.set(LittleEndian.FLOAT, 4L * i, (float) random.nextGaussian() * 0.05f + 0.01f);
    }
    return segment;
  }

  /// Each value lies at most half a step from what it decodes to, but for the largest of a
  /// symmetric group, which lies a whole half step beyond the grid; and the error that was counted
  /// is the one that is there.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "int4:g32",
        "int4:g32:asym",
        "int4:row:f32",
        "int8:g48:asym:bf16",
        "int8:row",
        "int4:g25:f32"
      })
  void valuesAreRoundedToTheGrid(String id) {
    GroupedInt scheme = (GroupedInt) QuantSchemes.parse(id);
    assertEquals(id, scheme.id());
    Shape shape = Shape.of(30, 96);
    MemorySegment source = gaussian(shape, SEED);
    Codecs.Encoded encoded = Codecs.encode(scheme, shape, DType.F32, source);
    byte[] decoded =
        Codecs.decode(new QuantizedTensor(scheme, shape, DType.F32, encoded.parts()), DType.F32);
    float[] values = MemorySegment.ofArray(decoded).toArray(LittleEndian.FLOAT);
    int size = scheme.groupSize() == 0 ? 96 : scheme.groupSize();
    double most = 0;
    for (int i = 0; i < values.length; i++) {
      float scale = ScaleType.get(encoded.part(Part.SCALE), i / size, scheme.scale());
      double error = Math.abs(source.get(LittleEndian.FLOAT, 4L * i) - values[i]);
      assertTrue(error <= scale * 0.51 + scale * 0.004 * (1 << scheme.bits()), id + " " + i);
      most = Math.max(most, error);
    }
    QuantError counted = encoded.encoder().error();
    double squares =
        Codecs.squaredError(
            source.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE), DType.F32, decoded, DType.F32);
    assertEquals(squares, counted.sumSquaredErrors(), 1e-5 * squares);
    assertEquals(most, counted.maxError(), 1e-5 * most);
  }

  /// The same bytes for any cut; decoding may begin anywhere.
  @ParameterizedTest
  @CsvSource({
    "int4:g32:asym, 30x96",
    "int4:row, 5x7",
    "int8:row:asym, 3x5x7",
    "int4:g128, 3x12000",
    "int4:row:f32, 2x70001"
  })
  void slicesDoNotMatter(String id, String dims) {
    QuantScheme scheme = QuantSchemes.parse(id);
    Shape shape =
        Shape.of(java.util.Arrays.stream(dims.split("x")).mapToLong(Long::parseLong).toArray());
    MemorySegment source = gaussian(shape, SEED);
    Codecs.Encoded whole = Codecs.encode(scheme, shape, DType.F32, source);
    for (int seed = 1; seed < 5; seed++) {
      Codecs.Encoded cut =
          Codecs.encode(
              scheme,
              scheme.encoder(shape, DType.F32, Arena.ofAuto()),
              shape,
              DType.F32,
              source,
              new Random(seed));
      for (Part part : whole.parts().keySet()) {
        assertArrayEquals(whole.bytes(part), cut.bytes(part), part + " seed " + seed);
      }
      assertEquals(whole.encoder().error(), cut.encoder().error());
    }
    Codecs.decodesAnywhere(new QuantizedTensor(scheme, shape, DType.F32, whole.parts()), SEED);
  }

  @Test
  void zerosAndTinyNumbersBecomeZero() {
    GroupedInt scheme = (GroupedInt) QuantSchemes.parse("int4:g32:asym");
    Shape shape = Shape.of(2, 32);
    MemorySegment source = MemorySegment.ofArray(new byte[256]);
    source.set(LittleEndian.FLOAT, 4 * 40, 1e-12f);
    Codecs.Encoded encoded = Codecs.encode(scheme, shape, DType.F32, source);
    assertArrayEquals(
        new byte[256],
        Codecs.decode(new QuantizedTensor(scheme, shape, DType.F32, encoded.parts()), DType.F32));
    assertEquals(1e-12, encoded.encoder().error().maxError(), 1e-18);
    assertEquals(OptionalLong.empty(), encoded.encoder().nonFinite());
  }

  @Test
  void whatIsNotFiniteOrOverflowsTheScaleIsTold() {
    GroupedInt scheme = (GroupedInt) QuantSchemes.parse("int4:g32");
    Shape shape = Shape.of(4, 32);
    MemorySegment source = gaussian(shape, 3);
    source.set(LittleEndian.FLOAT, 4 * 70, Float.NaN);
    assertEquals(
        OptionalLong.of(70), Codecs.encode(scheme, shape, DType.F32, source).encoder().nonFinite());
    source.set(LittleEndian.FLOAT, 4 * 70, 1e9f);
    Codecs.Encoded encoded = Codecs.encode(scheme, shape, DType.F32, source);
    assertEquals(OptionalLong.of(64), encoded.encoder().nonFinite());
    float[] decoded =
        MemorySegment.ofArray(
                Codecs.decode(
                    new QuantizedTensor(scheme, shape, DType.F32, encoded.parts()), DType.F32))
            .toArray(LittleEndian.FLOAT);
    assertTrue(Float.isNaN(decoded[64]) && Float.isFinite(decoded[63]));
  }

  @Test
  void namesAreChecked() {
    for (String bad :
        new String[] {
          "int4:64", "int4:g0", "int4:g", "int4:asym:g32", "int4:g32:f64", "int2", "int8:"
        }) {
      assertThrows(IllegalArgumentException.class, () -> QuantSchemes.parse(bad), bad);
    }
    assertEquals("int4:g128", QuantSchemes.parse("int4").id());
    assertEquals("int", QuantSchemes.parse("int8").id().substring(0, 3));
    assertEquals(new LlmInt8(), QuantSchemes.parse("int8"));
  }
}
