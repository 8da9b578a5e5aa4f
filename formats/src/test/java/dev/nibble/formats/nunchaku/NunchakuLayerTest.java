package dev.nibble.formats.nunchaku;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.quant.Codecs;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.SvdBranch;
import dev.nibble.formats.quant.SvdQuant;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

class NunchakuLayerTest {
  private static final int OUT = 256;
  private static final int IN = 384;
  private static final int RANK = 20;
  private static final int PADDED = 32;
  private static final Shape SHAPE = Shape.of(OUT, IN);
  private static final SvdQuant SCHEME = (SvdQuant) QuantSchemes.parse("int4:g64:bf16+svd20");

  private static float[] floats(MemorySegment bf16) {
    float[] values = new float[(int) (bf16.byteSize() / 2)];
    FloatReader.of(DType.BF16).read(bf16, 0, values, values.length);
    return values;
  }

  /// The layer that deepcompressor packed.
  private static QuantizedTensor golden(TestCheckpoint source) {
    byte[] signed = source.array("codes");
    MemorySegment codes = MemorySegment.ofArray(new byte[signed.length / 2]);
    for (int i = 0; i < codes.byteSize(); i++) {
      int low = signed[2 * i] + 8;
      int high = signed[2 * i + 1] + 8;
      codes.set(JAVA_BYTE, i, (byte) (high << 4 | low));
    }
    SvdBranch branch =
        SvdBranch.of(
            SHAPE,
            floats(source.data("smooth")),
            floats(source.data("up")),
            floats(source.data("down")));
    Map<Part, MemorySegment> parts = new EnumMap<>(branch.parts(Arena.ofAuto()));
    parts.put(Part.CODES, codes);
    parts.put(Part.SCALE, source.data("scales"));
    return new QuantizedTensor(SCHEME, SHAPE, DType.BF16, parts);
  }

  private static Map<String, MemorySegment> packed(TestCheckpoint checkpoint) {
    Map<String, MemorySegment> packed = new LinkedHashMap<>();
    checkpoint.tensors().values().forEach(t -> packed.put(t.name(), checkpoint.data(t)));
    return packed;
  }

  /// Names, types, shapes and bytes of every tensor.
  @Test
  void packsTheBytesThatDeepcompressorPacks() {
    TestCheckpoint source = TestCheckpoint.golden("goldens/nunchaku/nunchaku.src.safetensors");
    TestCheckpoint theirs = TestCheckpoint.golden("goldens/nunchaku/nunchaku.packed.safetensors");
    NunchakuLayer layer =
        NunchakuLayer.of(
            golden(source), Optional.of(floats(source.data("bias"))), PADDED, Arena.ofAuto());
    Map<String, MemorySegment> ours = layer.pack(Arena.ofAuto());
    Map<String, NunchakuLayer.Piece> pieces = NunchakuLayer.pieces(OUT, IN, PADDED, true);
    assertEquals(theirs.tensors().keySet(), ours.keySet());
    assertEquals(pieces.keySet(), ours.keySet());
    for (Map.Entry<String, MemorySegment> piece : ours.entrySet()) {
      String name = piece.getKey();
      assertArrayEquals(theirs.array(name), piece.getValue().toArray(JAVA_BYTE), name);
      assertEquals(
          new NunchakuLayer.Piece(theirs.info(name).dtype(), theirs.info(name).shape()),
          pieces.get(name));
    }
  }

  @Test
  void unpacksWhatDeepcompressorPacked() {
    TestCheckpoint source = TestCheckpoint.golden("goldens/nunchaku/nunchaku.src.safetensors");
    TestCheckpoint theirs = TestCheckpoint.golden("goldens/nunchaku/nunchaku.packed.safetensors");
    QuantizedTensor weight = golden(source);
    NunchakuLayer layer = NunchakuLayer.unpack(OUT, IN, PADDED, packed(theirs), Arena.ofAuto());
    assertEquals(-1, weight.part(Part.CODES).mismatch(layer.codes()));
    assertEquals(-1, source.data("scales").mismatch(layer.scales()));
    assertEquals(-1, source.data("smooth").mismatch(layer.smooth()));
    assertEquals(-1, source.data("bias").mismatch(layer.bias().orElseThrow()));
    float[] up = floats(layer.up());
    float[] expected = floats(source.data("up"));
    for (int i = 0; i < up.length; i++) {
      int k = i % PADDED;
      assertEquals(k < RANK ? expected[i / PADDED * RANK + k] : 0, up[i], "up " + i);
    }
  }

  /// What a kernel computes from the packed tensors is what a layer of ours computes whose inputs
  /// are rounded in the same way; without rounding it is the product with the decoded weight.
  @Test
  void computesTheSameFromThePackedTensors() {
    Random random = new Random(11);
    float[] smooth = gaussian(IN, 0.5, random);
    for (int i = 0; i < IN; i++) {
      smooth[i] = (float) Math.exp(smooth[i]);
    }
    SvdBranch branch =
        SvdBranch.of(
            SHAPE, smooth, gaussian(OUT * RANK, 0.1, random), gaussian(RANK * IN, 0.1, random));
    MemorySegment source = MemorySegment.ofArray(new byte[4 * OUT * IN]);
    for (int i = 0; i < OUT * IN; i++) {
      source.set(LittleEndian.FLOAT, 4L * i, (float) random.nextGaussian() * 0.05f);
    }
    Codecs.Encoded encoded =
        Codecs.encode(
            SCHEME,
            SCHEME.encoder(SHAPE, DType.F32, branch, Arena.ofAuto()),
            SHAPE,
            DType.F32,
            source,
            random);
    QuantizedTensor weight = new QuantizedTensor(SCHEME, SHAPE, DType.F32, encoded.parts());
    float[] bias = gaussian(OUT, 0.1, random);
    NunchakuLayer layer =
        NunchakuLayer.unpack(
            OUT,
            IN,
            PADDED,
            NunchakuLayer.of(weight, Optional.of(bias), PADDED, Arena.ofAuto())
                .pack(Arena.ofAuto()),
            Arena.ofAuto());
    float[] x = gaussian(IN, 1, random);

    float[] effective = decode(weight);
    expectNear(direct(effective, x, bias), kernel(layer, x, false), 4e-3);

    // (R·Q(x̂)) + up·down·x̂ + bias
    float[] scaled = divided(x, branch.inputScale());
    float[] rounded = scaled.clone();
    roundGroups(rounded);
    float[] expected = direct(decode(SCHEME.residual(weight)), rounded, bias);
    float[] low = multiply(branch.down(), RANK, scaled);
    float[] added = multiply(branch.up(), OUT, low);
    for (int row = 0; row < OUT; row++) {
      expected[row] += added[row];
    }
    expectNear(expected, kernel(layer, x, true), 4e-3);
  }

  private static float[] decode(QuantizedTensor weight) {
    return MemorySegment.ofArray(Codecs.decode(weight, DType.F32)).toArray(LittleEndian.FLOAT);
  }

  /// `Q(x / smooth)·(codes · scales)ᵀ + (x·downᵀ)·upᵀ + bias` of what stands in the file.
  private static float[] kernel(NunchakuLayer layer, float[] x, boolean rounds) {
    float[] scaled = divided(x, floats(layer.smooth()));
    if (rounds) {
      roundGroups(scaled);
    }
    float[] low = multiply(floats(layer.down()), PADDED, x);
    float[] y = multiply(floats(layer.up()), OUT, low);
    float[] scales = floats(layer.scales());
    float[] bias = floats(layer.bias().orElseThrow());
    for (int row = 0; row < OUT; row++) {
      double sum = bias[row];
      for (int i = 0; i < IN; i++) {
        int pair = layer.codes().get(JAVA_BYTE, (row * IN + i) / 2);
        int code = (i % 2 == 0 ? pair : pair >> 4) & 15;
        sum += (code - 8) * scales[row * (IN / 64) + i / 64] * (double) scaled[i];
      }
      y[row] += (float) sum;
    }
    return y;
  }

  private static float[] divided(float[] x, float[] by) {
    float[] result = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      result[i] = x[i] / by[i];
    }
    return result;
  }

  /// As the kernel rounds inputs: groups of 64, the largest magnitude becomes 7.
  private static void roundGroups(float[] x) {
    for (int begin = 0; begin < x.length; begin += 64) {
      float most = 0;
      for (int i = begin; i < begin + 64; i++) {
        most = Math.max(most, Math.abs(x[i]));
      }
      for (int i = begin; i < begin + 64; i++) {
        x[i] = (float) Math.rint(x[i] / (most / 7)) * (most / 7);
      }
    }
  }

  private static float[] direct(float[] weight, float[] x, float[] bias) {
    float[] y = multiply(weight, OUT, x);
    for (int row = 0; row < OUT; row++) {
      y[row] += bias[row];
    }
    return y;
  }

  private static float[] multiply(float[] matrix, int rows, float[] x) {
    float[] y = new float[rows];
    for (int row = 0; row < rows; row++) {
      double sum = 0;
      for (int i = 0; i < x.length; i++) {
        sum += (double) matrix[row * x.length + i] * x[i];
      }
      y[row] = (float) sum;
    }
    return y;
  }

  private static float[] gaussian(int count, double size, Random random) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (random.nextGaussian() * size);
    }
    return values;
  }

  private static void expectNear(float[] expected, float[] actual, double relative) {
    double differences = 0;
    double squares = 0;
    for (int i = 0; i < expected.length; i++) {
      differences += Math.pow((double) expected[i] - actual[i], 2);
      squares += (double) expected[i] * expected[i];
    }
    double error = Math.sqrt(differences / squares);
    assertTrue(error <= relative, "off by " + error);
  }

  @Test
  void sizesOfTheKernels() {
    assertTrue(NunchakuLayer.takes(Shape.of(128, 256)));
    assertFalse(NunchakuLayer.takes(Shape.of(192, 256)));
    assertFalse(NunchakuLayer.takes(Shape.of(128, 192)));
    assertFalse(NunchakuLayer.takes(Shape.of(128)));
    assertEquals(16, NunchakuLayer.padded(0));
    assertEquals(16, NunchakuLayer.padded(16));
    assertEquals(32, NunchakuLayer.padded(17));
    assertThrows(IllegalArgumentException.class, () -> NunchakuPacking.codes(128, 64));
    assertThrows(IllegalArgumentException.class, () -> NunchakuPacking.up(128, 20));
  }
}
