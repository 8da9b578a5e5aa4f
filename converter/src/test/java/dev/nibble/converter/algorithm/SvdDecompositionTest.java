package dev.nibble.converter.algorithm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.converter.algorithm.SvdDecomposition.Input;
import dev.nibble.converter.algorithm.SvdDecomposition.Options;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import java.util.Collections;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SvdDecompositionTest {
  private static final int OUT = 200;
  private static final int IN = 192;
  private static final TestInput INPUT = TestInput.correlated(300, IN, 9);

  /// Noise, and a few strong directions.
  private static float[] weight() {
    Random random = new Random(23);
    float[] weight = new float[OUT * IN];
    for (int i = 0; i < weight.length; i++) {
      weight[i] = (float) (random.nextGaussian() * 0.02);
    }
    for (int k = 0; k < 4; k++) {
      float[] row = new float[IN];
      for (int i = 0; i < IN; i++) {
        row[i] = (float) (random.nextGaussian() * 0.05);
      }
      for (int o = 0; o < OUT; o++) {
        float factor = (float) random.nextGaussian();
        for (int i = 0; i < IN; i++) {
          weight[o * IN + i] += factor * row[i];
        }
      }
    }
    return weight;
  }

  private static WeightRows rows(float[] weight) {
    return new WeightRows() {
      @Override
      public int rows() {
        return OUT;
      }

      @Override
      public int columns() {
        return IN;
      }

      @Override
      public void read(int first, int count, float[] target) {
        System.arraycopy(weight, first * IN, target, 0, count * IN);
      }
    };
  }

  private static SvdDecomposition fit(
      float[] weight, Optional<Input> input, QuantScheme scheme, int threads) {
    return SvdDecomposition.of(
        rows(weight), input, scheme, new RoundToNearest(IN), new Options(16, 4, 3, 5), threads);
  }

  private static Optional<Input> input() {
    return Optional.of(new Input(INPUT, Optional.empty()));
  }

  /// The weight that a layer with the branch has.
  private static float[] effective(
      float[] weight, LowRank branch, QuantScheme scheme, RowQuantizer quantizer) {
    float[] residual = weight.clone();
    branch.subtractFrom(0, OUT, residual);
    float[] values = Quantized.of(residual, OUT, scheme, quantizer, OUT).values();
    branch.addTo(0, OUT, values);
    return values;
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4", "int4:g64", "absmax8"})
  void beatsThePlainScheme(String id) {
    QuantScheme scheme = QuantSchemes.parse(id);
    float[] weight = weight();
    RoundToNearest nearest = new RoundToNearest(IN);
    float[] plain = Quantized.of(weight, OUT, scheme, nearest, OUT).values();
    SvdDecomposition svd = fit(weight, input(), scheme, 2);
    float[] ours = effective(weight, svd.branch(), scheme, nearest);
    double before = INPUT.outputError(weight, plain);
    double after = INPUT.outputError(weight, ours);
    assertTrue(after < 0.5 * before, after + " of " + before);
    Gptq gptq = new Gptq(GptqFactor.of(INPUT, Optional.empty(), GptqOptions.DEFAULT, 2));
    double both = INPUT.outputError(weight, effective(weight, svd.branch(), scheme, gptq));
    assertTrue(both < 0.8 * after, both + " of " + after);
  }

  /// The errors told are those of the weight that results, and the least is kept.
  @Test
  void tellsTheErrorOfOutputs() {
    QuantScheme scheme = QuantSchemes.parse("nf4");
    float[] weight = weight();
    SvdDecomposition svd = fit(weight, input(), scheme, 2);
    assertEquals(4, svd.errors().size());
    float[] ours = effective(weight, svd.branch(), scheme, new RoundToNearest(IN));
    double expected =
        Math.sqrt(INPUT.outputError(weight, ours) / INPUT.outputError(weight, new float[OUT * IN]));
    assertEquals(expected, Collections.min(svd.errors()), 1e-3 * expected);
  }

  @Test
  void aKnownInputGivesLessErrorOfOutputs() {
    QuantScheme scheme = QuantSchemes.parse("nf4");
    float[] weight = weight();
    RoundToNearest nearest = new RoundToNearest(IN);
    LowRank blind = fit(weight, Optional.empty(), scheme, 2).branch();
    LowRank informed = fit(weight, input(), scheme, 2).branch();
    double without = INPUT.outputError(weight, effective(weight, blind, scheme, nearest));
    double with = INPUT.outputError(weight, effective(weight, informed, scheme, nearest));
    assertTrue(with < 0.9 * without, with + " of " + without);
  }

  @Test
  void doesNotDependOnThreads() {
    QuantScheme scheme = QuantSchemes.parse("nf4");
    LowRank one = fit(weight(), input(), scheme, 1).branch();
    LowRank three = fit(weight(), input(), scheme, 3).branch();
    assertArrayEquals(one.up(), three.up());
    assertArrayEquals(one.down(), three.down());
    for (float value : one.down()) {
      assertEquals(0, Float.floatToRawIntBits(value) & 0xffff, "a number of BF16");
    }
  }

  /// A layer with scaled weights and inputs has the outputs of the plain one, and the same error.
  @Test
  void outputErrorsHeedTheScale() {
    float[] weight = weight();
    float[] scale = new float[IN];
    for (int i = 0; i < IN; i++) {
      scale[i] = (float) Math.exp(Math.sin(i));
    }
    float[] scaled = new float[weight.length];
    rows(weight).scaled(scale).read(0, OUT, scaled);
    float[] half = new float[weight.length];
    float[] scaledHalf = new float[weight.length];
    for (int i = 0; i < weight.length; i++) {
      half[i] = weight[i] * (i % 3) / 2f;
      scaledHalf[i] = scaled[i] * (i % 3) / 2f;
    }
    OutputError plain = new OutputError(INPUT, Optional.empty(), OUT);
    plain.add(0, OUT, weight, half);
    OutputError with = new OutputError(INPUT, Optional.of(scale), OUT);
    with.add(0, OUT, scaled, scaledHalf);
    double expected =
        Math.sqrt(INPUT.outputError(weight, half) / INPUT.outputError(weight, new float[OUT * IN]));
    assertEquals(expected, plain.relative(), 1e-5);
    assertEquals(expected, with.relative(), 1e-5);
  }
}
