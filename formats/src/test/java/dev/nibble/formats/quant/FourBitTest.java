package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.internal.simd.FourBitKernel;
import dev.nibble.formats.internal.simd.ScalarFourBit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class FourBitTest {
  private static final FourBit NF4 = new FourBit(FourBitType.NF4, 64, true);

  @Test
  void idsAreCanonical() {
    assertEquals("nf4", NF4.id());
    assertEquals("fp4:128", new FourBit(FourBitType.FP4, 128, true).id());
    assertEquals("nf4:plain", new FourBit(FourBitType.NF4, 64, false).id());
    assertEquals("nf4:4096:plain", new FourBit(FourBitType.NF4, 4096, false).id());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -64, 16, 48, 65, 8192})
  void refusesOtherBlockSizes(int blockSize) {
    assertThrows(
        IllegalArgumentException.class, () -> new FourBit(FourBitType.NF4, blockSize, true));
  }

  @Test
  void partsOfAnOddWeight() {
    assertEquals(
        List.of(
            new PartSpec(Part.CODES, DType.U8, Shape.of(1073, 1)),
            new PartSpec(Part.ABSMAX, DType.U8, Shape.of(68)),
            new PartSpec(Part.CODEBOOK, DType.F32, Shape.of(16)),
            new PartSpec(Part.NESTED_ABSMAX, DType.F32, Shape.of(1)),
            new PartSpec(Part.NESTED_CODEBOOK, DType.F32, Shape.of(256)),
            new PartSpec(Part.NESTED_OFFSET, DType.F32, Shape.of())),
        new FourBit(FourBitType.NF4, 32, true).parts(Shape.of(33, 65)));
    assertEquals(
        new PartSpec(Part.ABSMAX, DType.F32, Shape.of(34)),
        new FourBit(FourBitType.NF4, 64, false).parts(Shape.of(33, 65)).get(1));
  }

  private static MemorySegment gaussian(long seed, int count, DType type) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian() * 0.02f;
    }
    MemorySegment data = MemorySegment.ofArray(new byte[(int) type.byteSize(count)]);
    FloatWriter.of(type).write(values, count, data, 0);
    return data;
  }

  private static FourBitRun run(
      FourBit scheme, int count, DType type, MemorySegment data, long sliceBlocks) {
    return FourBitRun.encode(
        scheme, Shape.of(count), type, data, sliceBlocks, Float.NaN, FourBitKernel.best());
  }

  @ParameterizedTest
  @EnumSource(FourBitType.class)
  void cuttingDoesNotMatter(FourBitType type) {
    for (int count : new int[] {1, 31, 64, 65, 4096, 9999, 70_001}) {
      FourBit scheme = new FourBit(type, 32, true);
      MemorySegment data = gaussian(count, count, DType.BF16);
      FourBitRun whole = run(scheme, count, DType.BF16, data, 1 << 20);
      for (long sliceBlocks : new long[] {1, 3, 100}) {
        FourBitRun cut = run(scheme, count, DType.BF16, data, sliceBlocks);
        for (PartSpec spec : scheme.parts(Shape.of(count))) {
          assertArrayEquals(whole.bytes(spec.part()), cut.bytes(spec.part()), spec.toString());
        }
        assertEquals(whole.error(), cut.error());
      }
    }
  }

  /// Every kernel, every way to store absmax: the reported error is that of the decoded weight.
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void errorIsThatOfTheDecodedWeight(boolean doubleQuant) {
    for (FourBitKernel kernel : List.of(new ScalarFourBit(), FourBitKernel.best())) {
      for (FourBitType type : FourBitType.values()) {
        FourBit scheme = new FourBit(type, 64, doubleQuant);
        int count = 20_011;
        MemorySegment data = gaussian(5, count, DType.F32);
        FourBitRun run =
            FourBitRun.encode(scheme, Shape.of(count), DType.F32, data, 16, Float.NaN, kernel);
        float[] source = data.toArray(LittleEndian.FLOAT);
        float[] decoded = run.decode(DType.F32).toArray(LittleEndian.FLOAT);
        double squares = 0;
        double squaredErrors = 0;
        double worst = 0;
        for (int i = 0; i < count; i++) {
          double error = (double) source[i] - decoded[i];
          squares += (double) source[i] * source[i];
          squaredErrors += error * error;
          worst = Math.max(worst, Math.abs(error));
        }
        QuantError error = run.error();
        assertEquals(count, error.elements());
        assertEquals(squares, error.sumSquares(), 1e-6 * squares);
        assertEquals(squaredErrors, error.sumSquaredErrors(), 1e-5 * squaredErrors);
        if (doubleQuant) {
          assertTrue(error.maxError() >= worst * (1 - 1e-6) && error.maxError() < 1.2 * worst);
        } else {
          assertEquals(worst, error.maxError(), 1e-6 * worst);
        }
      }
    }
  }

  @Test
  void valuesThatFitHaveNoError() {
    MemorySegment data = MemorySegment.ofArray(new byte[4 * 640]);
    for (int i = 0; i < 640; i++) {
      data.set(LittleEndian.FLOAT, 4L * i, i / 64 * (i % 3 - 1) * 0.37f);
    }
    QuantError error =
        run(new FourBit(FourBitType.NF4, 64, false), 640, DType.F32, data, 4).error();
    assertEquals(0, error.sumSquaredErrors());
    assertEquals(0, error.maxError());
  }

  @ParameterizedTest
  @EnumSource(names = {"F16", "F64", "F8_E4M3", "F8_E5M2"})
  void otherTypesGoThroughFloat32(DType type) {
    int count = 5000;
    Random random = new Random(3);
    MemorySegment data = MemorySegment.ofArray(new byte[(int) type.byteSize(count)]);
    for (int i = 0; i < count; i++) {
      switch (type) {
        case F64 -> data.set(LittleEndian.DOUBLE, 8L * i, random.nextGaussian());
        case F16 ->
            data.set(
                LittleEndian.SHORT, 2L * i, Float.floatToFloat16((float) random.nextGaussian()));
        // Finite codes of either type.
        default ->
            data.set(
                java.lang.foreign.ValueLayout.JAVA_BYTE,
                i,
                (byte) (random.nextInt(0x78) | random.nextInt(2) << 7));
      }
    }
    float[] floats = new float[count];
    FloatReader.of(type).read(data, 0, floats, count);
    MemorySegment wide = MemorySegment.ofArray(new byte[4 * count]);
    MemorySegment.copy(floats, 0, wide, LittleEndian.FLOAT, 0, count);
    FourBitRun expected = run(NF4, count, DType.F32, wide, 7);
    FourBitRun actual = run(NF4, count, type, data, 7);
    for (PartSpec spec : NF4.parts(Shape.of(count))) {
      assertArrayEquals(expected.bytes(spec.part()), actual.bytes(spec.part()), spec.toString());
    }
  }

  @Test
  void decodesSlices() {
    int count = 10_007;
    FourBitRun run = run(NF4, count, DType.BF16, gaussian(9, count, DType.BF16), 50);
    for (DType type : List.of(DType.F32, DType.BF16, DType.F16)) {
      MemorySegment whole = run.decode(type);
      WeightDecoder decoder = NF4.decoder(run.tensor());
      for (int begin : new int[] {0, 64, 4096, 9984}) {
        int length = Math.min(5000, count - begin);
        MemorySegment slice = MemorySegment.ofArray(new byte[(int) type.byteSize(length)]);
        decoder.decode(begin, length, slice, type);
        assertEquals(
            -1,
            slice.mismatch(whole.asSlice(type.byteSize(begin), type.byteSize(length))),
            type + " at " + begin);
      }
    }
  }

  @Test
  void firstNonFiniteElementIsNamed() {
    int count = 1000;
    for (int index : new int[] {0, 63, 64, 500, 999}) {
      MemorySegment data = gaussian(4, count, DType.F32);
      data.set(LittleEndian.FLOAT, 4L * index, Float.NaN);
      data.set(LittleEndian.FLOAT, 4L * 999, Float.NEGATIVE_INFINITY);
      FourBitRun run = run(new FourBit(FourBitType.NF4, 64, false), count, DType.F32, data, 2);
      assertEquals(OptionalLong.of(index), run.nonFinite());
      assertTrue(Double.isFinite(run.error().sumSquaredErrors()));
    }
    MemorySegment large = MemorySegment.ofArray(new byte[8 * count]);
    large.set(LittleEndian.DOUBLE, 8 * 77, 1e39);
    FourBitRun overflow = run(new FourBit(FourBitType.NF4, 64, false), count, DType.F64, large, 2);
    assertEquals(OptionalLong.of(77), overflow.nonFinite());
  }

  @Test
  void emptyAndZeroWeights() {
    FourBitRun empty = run(NF4, 0, DType.F32, MemorySegment.ofArray(new byte[0]), 1);
    assertEquals(new QuantError(0, 0, 0, 0), empty.error());
    FourBitRun zeros = run(NF4, 200, DType.BF16, MemorySegment.ofArray(new byte[400]), 1);
    assertArrayEquals(new float[200], zeros.decode(DType.F32).toArray(LittleEndian.FLOAT));
  }

  @Test
  void refusesSlicesThatCutBlocks() {
    WeightEncoder encoder = NF4.encoder(Shape.of(1000), DType.F32, Arena.ofAuto());
    MemorySegment source = MemorySegment.ofArray(new byte[4000]);
    MemorySegment codes = MemorySegment.ofArray(new byte[500]);
    assertThrows(IllegalArgumentException.class, () -> encoder.encode(32, 64, source, codes));
    assertThrows(IllegalArgumentException.class, () -> encoder.encode(0, 100, source, codes));
    assertThrows(IllegalArgumentException.class, () -> encoder.encode(960, 64, source, codes));
    assertThrows(
        IllegalArgumentException.class, () -> encoder.encode(0, 1000, source.asSlice(4), codes));
    assertThrows(IllegalStateException.class, encoder::finish);
  }
}
