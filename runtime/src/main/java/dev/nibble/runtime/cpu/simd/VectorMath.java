package dev.nibble.runtime.cpu.simd;

import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.NEG;
import static jdk.incubator.vector.VectorOperators.OR;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/// {@link ScalarMath} on vectors, bit for bit.
final class VectorMath {
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;

  private VectorMath() {}

  static FloatVector exp(FloatVector x) {
    VectorMask<Float> zero = x.compare(LT, ScalarMath.SMALLEST);
    FloatVector y = x.blend(ScalarMath.LARGEST, x.compare(GT, ScalarMath.LARGEST));
    FloatVector round = all(ScalarMath.ROUND);
    FloatVector rounded = y.fma(all(ScalarMath.LOG2E), round);
    FloatVector n = rounded.sub(round);
    FloatVector r = n.fma(all(-ScalarMath.LN2_LOW), n.fma(all(-ScalarMath.LN2_HIGH), y));
    FloatVector p = r.fma(all(ScalarMath.E0), all(ScalarMath.E1));
    p = p.fma(r, all(ScalarMath.E2));
    p = p.fma(r, all(ScalarMath.E3));
    p = p.fma(r, all(ScalarMath.E4));
    p = p.fma(r, all(ScalarMath.E5));
    p = p.fma(r.mul(r), r).add(1f);
    IntVector power = rounded.reinterpretAsInts().lanewise(LSHL, 23);
    return p.reinterpretAsInts().add(power).reinterpretAsFloats().blend(0f, zero);
  }

  static FloatVector silu(FloatVector x) {
    return x.div(exp(x.lanewise(NEG)).add(1f));
  }

  static FloatVector gelu(FloatVector x) {
    FloatVector u = x.mul(x.mul(x).fma(all(ScalarMath.GELU_CUBIC), all(ScalarMath.GELU_LINEAR)));
    return x.div(exp(u.lanewise(NEG)).add(1f));
  }

  static FloatVector tanh(FloatVector x) {
    FloatVector magnitude = x.lanewise(ABS);
    FloatVector z = x.mul(x);
    FloatVector p = z.fma(all(ScalarMath.T0), all(ScalarMath.T1));
    p = p.fma(z, all(ScalarMath.T2));
    p = p.fma(z, all(ScalarMath.T3));
    p = p.fma(z, all(ScalarMath.T4));
    FloatVector small = p.mul(z).fma(x, x);
    FloatVector large = all(1).sub(all(2).div(exp(magnitude.add(magnitude)).add(1f)));
    IntVector sign = x.reinterpretAsInts().lanewise(AND, 0x80000000);
    FloatVector signed = large.reinterpretAsInts().lanewise(OR, sign).reinterpretAsFloats();
    return signed.blend(small, magnitude.compare(LT, ScalarMath.TANH_SMALL));
  }

  private static FloatVector all(float value) {
    return FloatVector.broadcast(FLOATS, value);
  }
}
