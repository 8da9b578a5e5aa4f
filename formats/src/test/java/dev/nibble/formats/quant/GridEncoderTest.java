package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Grids against the encoders and decoders of the same schemes, bit for bit.
class GridEncoderTest {
  private static final int ROWS = 48;
  private static final int COLUMNS = 512;
  private static final Shape SHAPE = Shape.of(ROWS, COLUMNS);

  static Stream<QuantScheme> schemes() {
    return Stream.of(
            "nf4",
            "nf4:plain",
            "nf4:32",
            "nf4:512:plain",
            "fp4",
            "fp4:128:plain",
            "int8",
            "absmax8",
            "absmax8:64",
            "affine8",
            "affine8:128",
            "int4:g128",
            "int4:g32:asym",
            "int4:row",
            "int4:g64:bf16",
            "int4:g64:asym:f32",
            "int8:g128",
            "int8:row:asym",
            "int8:g32:asym:bf16")
        .map(QuantSchemes::parse);
  }

  static Stream<Object[]> cases() {
    return schemes()
        .flatMap(scheme ->
            Stream.of(DType.F32, DType.F16, DType.BF16)
                .map(source -> new Object[] {scheme, source}));
  }

  /// Blocks of zeros, of one number, of numbers too small for a scale, and beside ordinary ones.
  private static float[] weight(DType source) {
    Random random = new Random(11);
    float[] values = new float[ROWS * COLUMNS];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * 0.02);
    }
    Arrays.fill(values, 0, COLUMNS, 0f);
    Arrays.fill(values, COLUMNS, 2 * COLUMNS, 0.25f);
    Arrays.fill(values, 2 * COLUMNS, 3 * COLUMNS, -0.25f);
    Arrays.fill(values, 3 * COLUMNS, 3 * COLUMNS + 256, 0f);
    for (int i = 4 * COLUMNS; i < 5 * COLUMNS; i++) {
      values[i] *= 1e-36f;
      values[i + COLUMNS] = Math.abs(values[i + COLUMNS]);
      values[i + 2 * COLUMNS] *= 1e-5f;
    }
    values[7 * COLUMNS] = 40f;
    MemorySegment bytes = MemorySegment.ofArray(new byte[(int) source.byteSize(values.length)]);
    FloatWriter.of(source).write(values, values.length, bytes, 0);
    FloatReader.of(source).read(bytes, 0, values, values.length);
    return values;
  }

  private static GridEncoder grid(QuantScheme scheme) {
    return scheme.grid(SHAPE, Arena.ofAuto()).orElseThrow();
  }

  /// Fits each group to the values and takes the scheme's code of each.
  private static Map<Part, MemorySegment> roundAll(
      QuantScheme scheme, GridEncoder grid, float[] values, float[] decoded) {
    grid.survey(0, ROWS, values);
    grid.surveyed();
    byte[] codes = new byte[values.length];
    int size = grid.groupSize();
    for (int group = values.length / size - 1; group >= 0; group--) {
      GridEncoder.Grid of = grid.fit(group, values, group * size);
      for (int i = group * size; i < (group + 1) * size; i++) {
        int code = of.code(values[i]);
        codes[i] = (byte) code;
        decoded[i] = of.value(code);
      }
    }
    MemorySegment packed = MemorySegment.ofArray(new byte[(int) scheme.codeBytes(values.length)]);
    long half = scheme.codeBytes(values.length / 2);
    byte[] second = Arrays.copyOfRange(codes, values.length / 2, values.length);
    grid.pack(ROWS / 2, ROWS / 2, second, packed.asSlice(half));
    grid.pack(0, ROWS / 2, codes, packed.asSlice(0, half));
    Map<Part, MemorySegment> parts = new EnumMap<>(grid.finish());
    parts.put(Part.CODES, packed);
    return parts;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void roundingOnTheGridGivesTheEncodersBytes(QuantScheme scheme, DType source) {
    float[] values = weight(source);
    MemorySegment bytes = MemorySegment.ofArray(new byte[(int) source.byteSize(values.length)]);
    FloatWriter.of(source).write(values, values.length, bytes, 0);
    Codecs.Encoded expected = Codecs.encode(scheme, SHAPE, source, bytes);
    float[] decoded = new float[values.length];
    Map<Part, MemorySegment> parts = roundAll(scheme, grid(scheme), values, decoded);
    assertEquals(expected.parts().keySet(), parts.keySet());
    parts.forEach((part, segment) ->
        assertArrayEquals(expected.bytes(part), segment.toArray(JAVA_BYTE), part.toString()));
    float[] read =
        MemorySegment.ofArray(
                Codecs.decode(new QuantizedTensor(scheme, SHAPE, source, parts), DType.F32))
            .toArray(LittleEndian.FLOAT);
    assertArrayEquals(read, decoded);
  }

  /// Values that a group was not fitted to: what is nearest of all that the grid has.
  @ParameterizedTest
  @MethodSource("schemes")
  void nearestIsNearest(QuantScheme scheme) {
    GridEncoder grid = grid(scheme);
    float[] values = weight(DType.F32);
    grid.survey(0, ROWS, values);
    grid.surveyed();
    Random random = new Random(5);
    for (int group : new int[] {9 * COLUMNS / grid.groupSize(), 20 * COLUMNS / grid.groupSize()}) {
      GridEncoder.Grid of = grid.fit(group, values, 13 * COLUMNS);
      boolean signed = scheme.parts(SHAPE).getFirst().dtype() == DType.I8;
      int codes = scheme.codeBytes(2) == 1 ? 16 : 256;
      for (int round = 0; round < 500; round++) {
        float value = (float) (random.nextGaussian() * (round % 7 == 0 ? 1 : 0.03));
        double best = Double.POSITIVE_INFINITY;
        for (int code = 0; code < codes; code++) {
          float candidate = of.value(signed ? Math.max(-127, code - 128) : code);
          best = Math.min(best, Math.abs((double) candidate - value));
        }
        double chosen = Math.abs((double) of.value(of.nearest(value)) - value);
        assertEquals(best, chosen, 1e-6 * Math.abs(value), scheme.id() + " of " + value);
      }
    }
  }

  @Test
  void blocksMustLieInRows() {
    for (String id : new String[] {"nf4", "absmax8:64", "affine8:64", "int4:g64", "int8:g64"}) {
      QuantScheme scheme = QuantSchemes.parse(id);
      assertEquals(Optional.empty(), scheme.grid(Shape.of(64, 96), Arena.ofAuto()), id);
      assertEquals(Optional.empty(), scheme.grid(Shape.of(64), Arena.ofAuto()), id);
      assertTrue(scheme.grid(Shape.of(96, 64), Arena.ofAuto()).isPresent(), id);
    }
    QuantScheme odd = QuantSchemes.parse("int4:row");
    assertEquals(Optional.empty(), odd.grid(Shape.of(4, 63), Arena.ofAuto()));
    assertEquals(
        Optional.empty(), QuantSchemes.parse("fp8").grid(Shape.of(64, 64), Arena.ofAuto()));
  }

  @Test
  void onlyGroupedIntegersStoreAGroupIndex() {
    int[] index = new int[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
      index[i] = i % 4;
    }
    assertFalse(grid(QuantSchemes.parse("nf4")).regroup(index));
    assertFalse(grid(QuantSchemes.parse("affine8:128")).regroup(index));
    GridEncoder grouped = grid(QuantSchemes.parse("int4:g128"));
    assertTrue(grouped.regroup(index));
    MemorySegment stored = grouped.finish().get(Part.GROUP_INDEX);
    assertArrayEquals(index, stored == null ? null : stored.toArray(LittleEndian.INT));
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void refusesWhatIsNotFinite(QuantScheme scheme) {
    float[] values = weight(DType.F32);
    GridEncoder grid = grid(scheme);
    grid.survey(0, ROWS, values);
    grid.surveyed();
    for (float wrong : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      values[7] = wrong;
      assertThrows(NibbleException.class, () -> grid.fit(0, values, 0), scheme.id());
    }
  }
}
