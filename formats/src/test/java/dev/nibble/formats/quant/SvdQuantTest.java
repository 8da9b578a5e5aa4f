package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SvdQuantTest {
  private static final long SEED = 606;

  private static float[] gaussian(int count, double size, Random random) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (random.nextGaussian() * size);
    }
    return values;
  }

  private static SvdBranch branch(Shape shape, int rank, Random random) {
    int out = (int) shape.dim(0);
    int in = (int) shape.dim(1);
    float[] scale = new float[in];
    for (int i = 0; i < in; i++) {
      scale[i] = (float) Math.exp(random.nextGaussian());
    }
    float[] up = gaussian(out * rank, 0.1, random);
    return SvdBranch.of(shape, scale, up, gaussian(rank * in, 0.1, random));
  }

  private static MemorySegment bytes(float[] values, DType type) {
    MemorySegment bytes = MemorySegment.ofArray(new byte[(int) type.byteSize(values.length)]);
    FloatWriter.of(type).write(values, values.length, bytes, 0);
    return bytes;
  }

  private static float[] floats(QuantizedTensor tensor) {
    return MemorySegment.ofArray(Codecs.decode(tensor, DType.F32)).toArray(LittleEndian.FLOAT);
  }

  /// The parts are those of the residual, quantized alone, and the branch; decoding is the formula,
  /// bit for bit, from anywhere; and the cut does not matter.
  @ParameterizedTest
  @CsvSource({
    "nf4, 32, 48x96",
    "nf4:plain, 3, 10x100",
    "int4:g64, 16, 32x128",
    "int4:g32:asym:bf16, 5, 20x96",
    "int8, 4, 7x33",
    "fp8:row, 8, 12x40",
    "nf4, 0, 16x64",
    "int4:g25, 0, 9x50"
  })
  void decodesToTheWeightThatResidualAndBranchStandFor(String id, int rank, String dims) {
    String[] sizes = dims.split("x");
    int out = Integer.parseInt(sizes[0]);
    int in = Integer.parseInt(sizes[1]);
    Shape shape = Shape.of(out, in);
    Random random = new Random(SEED);
    float[] weight = gaussian(out * in, 0.05, random);
    SvdBranch branch = branch(shape, rank, random);
    SvdQuant scheme = new SvdQuant(QuantSchemes.parse(id), rank);
    assertEquals(scheme, QuantSchemes.parse(scheme.id()));

    Codecs.Encoded encoded = encode(scheme, shape, weight, branch, new Random(0));
    for (int seed = 1; seed < 4; seed++) {
      Codecs.Encoded cut = encode(scheme, shape, weight, branch, new Random(seed));
      for (Part part : encoded.parts().keySet()) {
        assertArrayEquals(encoded.bytes(part), cut.bytes(part), part + " seed " + seed);
      }
      assertEquals(encoded.encoder().error(), cut.encoder().error());
    }

    float[] left = new float[out * in];
    float[] up = branch.up();
    float[] down = branch.down();
    float[] scale = branch.inputScale();
    for (int i = 0; i < left.length; i++) {
      left[i] = weight[i] * scale[i % in];
      for (int k = 0; k < rank; k++) {
        left[i] -= up[i / in * rank + k] * down[k * in + i % in];
      }
    }
    Codecs.Encoded residual =
        Codecs.encode(scheme.residual(), shape, DType.F32, bytes(left, DType.F32));
    for (Part part : residual.parts().keySet()) {
      assertArrayEquals(residual.bytes(part), encoded.bytes(part), "residual " + part);
    }

    QuantizedTensor tensor = new QuantizedTensor(scheme, shape, DType.F32, encoded.parts());
    float[] expected = floats(scheme.residual(tensor));
    for (int i = 0; i < expected.length; i++) {
      for (int k = 0; k < rank; k++) {
        expected[i] += up[i / in * rank + k] * down[k * in + i % in];
      }
      expected[i] /= scale[i % in];
    }
    assertArrayEquals(expected, floats(tensor));
    Codecs.decodesAnywhere(tensor, SEED);
  }

  private static Codecs.Encoded encode(
      SvdQuant scheme, Shape shape, float[] weight, SvdBranch branch, Random cut) {
    return Codecs.encode(
        scheme,
        scheme.encoder(shape, DType.F32, branch, Arena.ofAuto()),
        shape,
        DType.F32,
        bytes(weight, DType.F32),
        cut);
  }

  /// The error that is told is that of the scaled weight.
  @Test
  void theErrorIsThatOfTheScaledWeight() {
    Shape shape = Shape.of(24, 64);
    Random random = new Random(SEED);
    float[] weight = gaussian(24 * 64, 0.05, random);
    SvdBranch branch = branch(shape, 6, random);
    SvdQuant scheme = new SvdQuant(new FourBit(FourBitType.NF4, 64, true), 6);
    Codecs.Encoded encoded = encode(scheme, shape, weight, branch, new Random(1));
    float[] decoded = floats(new QuantizedTensor(scheme, shape, DType.F32, encoded.parts()));
    float[] scale = branch.inputScale();
    double size = 0;
    double lost = 0;
    for (int i = 0; i < weight.length; i++) {
      double s = scale[i % 64];
      size += weight[i] * s * weight[i] * s;
      lost += Math.pow((decoded[i] - weight[i]) * s, 2);
    }
    QuantError error = encoded.encoder().error();
    assertEquals(weight.length, error.elements());
    assertEquals(size, error.sumSquares(), 1e-6 * size);
    assertEquals(lost, error.sumSquaredErrors(), 1e-4 * lost);
  }

  /// A low rank and scales that are right for a weight make its error smaller: one input that is
  /// large in the weight spoils its blocks otherwise.
  @Test
  void scalesAndRanksTakeUpWhatTheGridHoldsBadly() {
    Shape shape = Shape.of(64, 64);
    Random random = new Random(SEED);
    float[] weight = gaussian(64 * 64, 0.02, random);
    float[] up = gaussian(64, 1, random);
    float[] down = gaussian(64, 1, random);
    for (int i = 0; i < weight.length; i++) {
      weight[i] += up[i / 64] * down[i % 64];
    }
    float[] ones = new float[64];
    java.util.Arrays.fill(ones, 1);
    SvdQuant scheme = new SvdQuant(new FourBit(FourBitType.NF4, 64, false), 1);
    QuantError with =
        encode(scheme, shape, weight, SvdBranch.of(shape, ones, up, down), random)
            .encoder()
            .error();
    QuantError without =
        Codecs.encode(scheme.residual(), shape, DType.F32, bytes(weight, DType.F32))
            .encoder()
            .error();
    assertTrue(with.relative() < without.relative() / 10, with + " " + without);
  }

  @Test
  void whatIsNotFiniteIsTold() {
    Shape shape = Shape.of(8, 64);
    float[] weight = gaussian(8 * 64, 1, new Random(1));
    weight[130] = Float.POSITIVE_INFINITY;
    SvdQuant scheme = new SvdQuant(new FourBit(FourBitType.NF4, 64, false), 2);
    WeightEncoder encoder =
        encode(scheme, shape, weight, branch(shape, 2, new Random(2)), new Random(3)).encoder();
    assertEquals(OptionalLong.of(130), encoder.nonFinite());
  }

  @Test
  void sizesAndScalesAreChecked() {
    Shape shape = Shape.of(4, 6);
    float[] ones = {1, 1, 1, 1, 1, 1};
    assertThrows(
        IllegalArgumentException.class,
        () -> SvdBranch.of(shape, new float[5], new float[0], new float[0]));
    assertThrows(
        IllegalArgumentException.class,
        () -> SvdBranch.of(shape, ones, new float[4], new float[12]));
    assertThrows(
        IllegalArgumentException.class,
        () -> SvdBranch.of(shape, ones, new float[5], new float[6]));
    for (float bad : new float[] {0, -1, Float.NaN, Float.POSITIVE_INFINITY}) {
      float[] scale = ones.clone();
      scale[3] = bad;
      assertThrows(
          IllegalArgumentException.class,
          () -> SvdBranch.of(shape, scale, new float[0], new float[0]));
    }
    SvdQuant scheme = new SvdQuant(new LlmInt8(), 2);
    SvdBranch other = SvdBranch.of(shape, ones, new float[4], new float[6]);
    assertThrows(
        IllegalArgumentException.class,
        () -> scheme.encoder(shape, DType.F32, other, Arena.ofAuto()));
    assertThrows(IllegalArgumentException.class, () -> scheme.parts(Shape.of(24)));
    assertTrue(scheme.isCalibrated());
    assertFalse(scheme.residual().isCalibrated());
    assertThrows(
        UnsupportedOperationException.class,
        () -> scheme.encoder(shape, DType.F32, Arena.ofAuto()));
  }

  @Test
  void aWeightWithoutItsBranchIsRefused() {
    Shape shape = Shape.of(8, 64);
    SvdQuant scheme = new SvdQuant(new LlmInt8(), 2);
    Codecs.Encoded encoded =
        encode(
            scheme,
            shape,
            gaussian(512, 1, new Random(1)),
            branch(shape, 2, new Random(2)),
            new Random(3));
    for (Part part : SvdBranch.PARTS) {
      Map<Part, MemorySegment> parts = new HashMap<>(encoded.parts());
      parts.remove(part);
      assertThrows(
          IllegalArgumentException.class,
          () -> new QuantizedTensor(scheme, shape, DType.F32, parts),
          part.name());
    }
  }
}
