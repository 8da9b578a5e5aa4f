package dev.nibble.converter.algorithm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GptqTest {
  private static final int OUT = 40;
  private static final int IN = 320;
  private static final TestInput INPUT = TestInput.correlated(400, IN, 3);

  private static float[] weight() {
    Random random = new Random(17);
    float[] weight = new float[OUT * IN];
    for (int i = 0; i < weight.length; i++) {
      weight[i] = (float) (random.nextGaussian() * 0.03);
    }
    return weight;
  }

  private static Gptq gptq(TestInput input, GptqOptions options, int threads) {
    return new Gptq(GptqFactor.of(input, Optional.empty(), options, threads));
  }

  /// The least part that output errors must fall by; with 8 bits too.
  @ParameterizedTest
  @CsvSource({
    "nf4, false, false",
    "nf4, false, true",
    "nf4, true, true",
    "nf4:plain, false, false",
    "fp4, false, false",
    "fp4:32:plain, true, true",
    "int8, false, false",
    "int8, true, true",
    "absmax8:64, false, false",
    "affine8:64, true, true",
    "absmax8, true, false",
    "int4:g64, false, false",
    "int4:g32:asym, true, false",
    "int4:row, true, false",
    "int8:g64:asym, false, true"
  })
  void halvesTheErrorOfOutputs(String id, boolean actOrder, boolean staticGroups) {
    QuantScheme scheme = QuantSchemes.parse(id);
    float[] weight = weight();
    Quantized nearest = Quantized.of(weight, OUT, scheme, new RoundToNearest(IN), OUT);
    Gptq gptq = gptq(INPUT, new GptqOptions(0.01, actOrder, staticGroups, false), 2);
    Quantized compensated = Quantized.of(weight, OUT, scheme, gptq, OUT);
    double before = INPUT.outputError(weight, nearest.values());
    double after = INPUT.outputError(weight, compensated.values());
    assertTrue(after < 0.5 * before, after + " of " + before);
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4", "int4:g64:asym"})
  void doesNotDependOnSlicesOrThreads(String id) {
    QuantScheme scheme = QuantSchemes.parse(id);
    float[] weight = weight();
    GptqOptions options = new GptqOptions(0.01, false, false, false);
    Quantized whole = Quantized.of(weight, OUT, scheme, gptq(INPUT, options, 1), OUT);
    for (int slice : new int[] {1, 7, 24}) {
      Quantized cut = Quantized.of(weight, OUT, scheme, gptq(INPUT, options, 3), slice);
      assertArrayEquals(whole.codes(), cut.codes());
      assertArrayEquals(whole.values(), cut.values());
    }
  }

  /// A layer that divides its input by s, with a weight multiplied by s, is the same layer.
  @Test
  void heedsTheScaleOfTheInput() {
    float[] scale = new float[IN];
    float[] weight = weight();
    float[] scaledWeight = new float[OUT * IN];
    float[] scaledX = new float[INPUT.x().length];
    for (int i = 0; i < IN; i++) {
      scale[i] = (float) Math.exp(Math.cos(i));
    }
    for (int i = 0; i < weight.length; i++) {
      scaledWeight[i] = weight[i] * scale[i % IN];
    }
    for (int i = 0; i < scaledX.length; i++) {
      scaledX[i] = INPUT.x()[i] / scale[i % IN];
    }
    QuantScheme scheme = QuantSchemes.parse("nf4");
    TestInput scaled = TestInput.of(scaledX, IN);
    Gptq given = new Gptq(GptqFactor.of(INPUT, Optional.of(scale), GptqOptions.DEFAULT, 1));
    Quantized ours = Quantized.of(scaledWeight, OUT, scheme, given, OUT);
    Quantized same =
        Quantized.of(scaledWeight, OUT, scheme, gptq(scaled, GptqOptions.DEFAULT, 1), OUT);
    double expected = scaled.outputError(scaledWeight, same.values());
    assertEquals(expected, scaled.outputError(scaledWeight, ours.values()), 0.02 * expected);
  }

  @Test
  void deadInputsGetZeros() {
    float[] x = INPUT.x().clone();
    for (int i = 0; i < x.length; i += IN) {
      x[i + 5] = 0;
      x[i + 319] = 0;
    }
    GptqFactor factor =
        GptqFactor.of(TestInput.of(x, IN), Optional.empty(), GptqOptions.DEFAULT, 1);
    assertEquals(2, factor.deadInputs());
    Quantized result =
        Quantized.of(weight(), OUT, QuantSchemes.parse("int4:g64"), new Gptq(factor), OUT);
    for (int row = 0; row < OUT; row++) {
      assertEquals(0, result.values()[row * IN + 5]);
      assertEquals(0, result.values()[row * IN + 319]);
    }
  }

  @Test
  void actOrderNeedsAGroupIndexOrStaticGroups() {
    Gptq gptq = gptq(INPUT, new GptqOptions(0.01, true, false, false), 1);
    NibbleException refused =
        assertThrows(
            NibbleException.class,
            () -> Quantized.of(weight(), OUT, QuantSchemes.parse("nf4"), gptq, OUT));
    assertTrue(refused.toString().contains("static groups"), refused.toString());
  }

  /// An element off the diagonal that no inputs could give: more damping helps, and is told.
  @Test
  void raisesTheDamping() {
    assertEquals(0.01, GptqFactor.of(INPUT, Optional.empty(), GptqOptions.DEFAULT, 1).damping());
    double mean = 0;
    float largest = 0;
    for (int i = 0; i < IN; i++) {
      mean += hessian(i, i) / IN;
      largest = Math.max(largest, hessian(i, i));
    }
    TestInput broken = INPUT.withHessian(3, 200, (float) (hessian(3, 200) + 0.3 * mean));
    GptqFactor factor = GptqFactor.of(broken, Optional.empty(), GptqOptions.DEFAULT, 1);
    assertTrue(factor.damping() > 0.01, "damping " + factor.damping());
    TestInput hopeless = INPUT.withHessian(3, 200, 100 * largest);
    NibbleException refused =
        assertThrows(
            NibbleException.class,
            () -> GptqFactor.of(hopeless, Optional.empty(), GptqOptions.DEFAULT, 1));
    assertTrue(refused.toString().contains("calibrate anew"), refused.toString());
  }

  private static float hessian(int row, int column) {
    return INPUT.hessian().orElseThrow().getAtIndex(LittleEndian.FLOAT, (long) row * IN + column);
  }

  @Test
  void refusesHessiansThatCannotBe() {
    float[] zeros = new float[4 * IN];
    for (TestInput wrong :
        new TestInput[] {
          INPUT.withHessian(7, 9, Float.NaN),
          INPUT.withHessian(8, 8, Float.POSITIVE_INFINITY),
          TestInput.of(zeros, IN),
          new TestInput(zeros, IN, Optional.empty())
        }) {
      NibbleException refused =
          assertThrows(
              NibbleException.class,
              () -> GptqFactor.of(wrong, Optional.empty(), GptqOptions.DEFAULT, 2));
      assertTrue(refused.toString().contains("layers.0.attention.to_q"), refused.toString());
      assertTrue(refused.toString().contains("calibrate anew"), refused.toString());
    }
  }

  /// Inputs that do not depend on each other leave nothing to compensate.
  @Test
  void aDiagonalHessianRoundsToNearest() {
    float[] x = new float[IN * IN];
    for (int i = 0; i < IN; i++) {
      x[i * IN + i] = 1 + i % 3;
    }
    float[] weight = weight();
    for (String id : new String[] {"nf4:plain", "absmax8", "int4:g64:asym"}) {
      QuantScheme scheme = QuantSchemes.parse(id);
      Quantized nearest = Quantized.of(weight, OUT, scheme, new RoundToNearest(IN), OUT);
      Gptq gptq = gptq(TestInput.of(x, IN), GptqOptions.DEFAULT, 1);
      Quantized ours = Quantized.of(weight, OUT, scheme, gptq, OUT);
      assertArrayEquals(nearest.values(), ours.values(), id);
      assertArrayEquals(nearest.codes(), ours.codes(), id);
    }
  }
}
