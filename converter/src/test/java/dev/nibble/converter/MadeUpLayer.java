package dev.nibble.converter;

import dev.nibble.converter.RealShapes.Layer;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.calibration.CalibrationWriter.Sums;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.stream.IntStream;

/// A layer that looks trained, from a seed that is its name.
///
/// ```
/// weight  W[i][j] = row[i] · (0.02 · column[j] · t[i][j] + Σ p[i][r] · q[j][r])
///                   t: Student's t of 5 degrees of freedom, to unit variance (heavy tails);
///                   row, column: log-normal; p·q: rank 8, a fifth of the variance
/// input   x[j] = scale[j] · (Σ u[j][f] · z[f] + √0.3 · e[j])
///                   z, e: standard normal; 64 factors f whose strength falls as 1/(f + 1) and which
///                   carry 0.7 of the variance; scale: log-normal, one channel in 512 twenty times as
///                   large (outliers)
/// ```
///
/// The sums are those that `COUNT` rows approach, not of rows that were drawn: XᵀX is COUNT times
/// the covariance. It is positive definite.
final class MadeUpLayer {
  static final long COUNT = 524_288;
  static final int SAMPLE_ROWS = 256;

  private static final int FACTORS = 64;
  private static final int RANK = 8;
  private static final double SHARED = 0.7;
  private static final double DEVIATION = 0.02;
  private static final int CHANNELS_PER_OUTLIER = 512;
  private static final double OUTLIER = 20;
  private static final int TABLE = 1 << 16;

  private final Layer layer;

  /// Root of the covariance's low-rank part, factor by factor: `[FACTORS][in]`, scales included.
  private final float[][] factors;

  /// Deviation of a channel's own part, `[in]`.
  private final float[] own;

  MadeUpLayer(Layer layer) {
    this.layer = layer;
    Random random = random("input");
    double[] scale = new double[layer.in()];
    for (int j = 0; j < scale.length; j++) {
      scale[j] = Math.exp(0.5 * random.nextGaussian());
    }
    for (int i = 0; i < Math.max(1, layer.in() / CHANNELS_PER_OUTLIER); i++) {
      scale[random.nextInt(layer.in())] *= OUTLIER;
    }
    double sum = IntStream.range(0, FACTORS).mapToDouble(f -> 1.0 / (f + 1)).sum();
    factors = new float[FACTORS][layer.in()];
    for (int f = 0; f < FACTORS; f++) {
      double strength = Math.sqrt(SHARED / (sum * (f + 1)));
      for (int j = 0; j < layer.in(); j++) {
        factors[f][j] = (float) (scale[j] * strength * random.nextGaussian());
      }
    }
    own = new float[layer.in()];
    for (int j = 0; j < layer.in(); j++) {
      own[j] = (float) (scale[j] * Math.sqrt(1 - SHARED));
    }
  }

  private Random random(String what) {
    return new Random((layer.module() + what).hashCode());
  }

  /// Fills W.
  ///
  /// @param weight BF16 `[out, in]`
  void weight(MemorySegment weight) {
    Random random = random("weight");
    float[] table = studentT(random);
    float[] rows = logNormal(layer.out(), 0.3, random);
    float[] columns = logNormal(layer.in(), 0.3, random);
    double part = DEVIATION * Math.sqrt(0.25 / RANK); // 0.25 of the rest is a fifth of all
    float[][] p = gaussian(layer.out(), part, random);
    float[][] q = gaussian(layer.in(), 1, random);
    long seed = random.nextLong();
    IntStream.range(0, layer.out())
        .parallel()
        .forEach(i -> {
          long state = (seed + i * 0x9E3779B97F4A7C15L) | 1; // xorshift stays at zero
          for (int j = 0; j < layer.in(); j++) {
            state ^= state << 13;
            state ^= state >>> 7;
            state ^= state << 17;
            float sum = (float) DEVIATION * columns[j] * table[(int) (state >>> 40) & (TABLE - 1)];
            for (int r = 0; r < RANK; r++) {
              sum += p[i][r] * q[j][r];
            }
            weight.set(LittleEndian.SHORT, 2L * ((long) i * layer.in() + j), bf16(rows[i] * sum));
          }
        });
  }

  private static float[] studentT(Random random) {
    float[] table = new float[TABLE];
    for (int i = 0; i < TABLE; i++) {
      double squares = 0;
      for (int k = 0; k < 5; k++) {
        double normal = random.nextGaussian();
        squares += normal * normal;
      }
      // Over sqrt(squares / 5), whose ratio has the variance 5/3.
      table[i] = (float) (random.nextGaussian() / Math.sqrt(squares / 3));
    }
    return table;
  }

  private static float[] logNormal(int count, double deviation, Random random) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) Math.exp(deviation * random.nextGaussian());
    }
    return values;
  }

  private static float[][] gaussian(int rows, double deviation, Random random) {
    float[][] values = new float[rows][RANK];
    for (float[] row : values) {
      for (int r = 0; r < RANK; r++) {
        row[r] = (float) (deviation * random.nextGaussian());
      }
    }
    return values;
  }

  /// To the nearest, ties to even.
  private static short bf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }

  /// Fills XᵀX.
  ///
  /// @param hessian F32 `[in, in]`
  void hessian(MemorySegment hessian) {
    int in = layer.in();
    IntStream.range(0, in)
        .parallel()
        .forEach(i -> {
          float[] row = new float[in];
          for (float[] factor : factors) {
            float own = factor[i];
            for (int j = 0; j < in; j++) {
              row[j] += own * factor[j]; // the same products in the same order as for (j, i)
            }
          }
          row[i] += own[i] * own[i];
          for (int j = 0; j < in; j++) {
            row[j] *= COUNT;
          }
          MemorySegment.copy(row, 0, hessian, LittleEndian.FLOAT, 4L * i * in, in);
        });
  }

  /// All sums but XᵀX. Its diagonal is that of {@link #hessian}.
  Sums sums() {
    int in = layer.in();
    float[] sample = sample();
    double[] absSum = new double[in];
    float[] absMax = new float[in];
    double[] squareSum = new double[in];
    for (int j = 0; j < in; j++) {
      float variance = 0;
      for (float[] factor : factors) {
        variance += factor[j] * factor[j];
      }
      variance += own[j] * own[j];
      squareSum[j] = variance * COUNT;
      double deviation = Math.sqrt(variance);
      absSum[j] = COUNT * deviation * Math.sqrt(2 / Math.PI);
      absMax[j] = (float) (deviation * Math.sqrt(2 * Math.log(COUNT)));
      for (int row = 0; row < SAMPLE_ROWS; row++) {
        absMax[j] = Math.max(absMax[j], Math.abs(sample[row * in + j]));
      }
    }
    return new Sums(COUNT, absSum, absMax, squareSum, sample);
  }

  private float[] sample() {
    Random random = random("sample");
    int in = layer.in();
    float[] rows = new float[SAMPLE_ROWS * in];
    for (int row = 0; row < SAMPLE_ROWS; row++) {
      for (float[] factor : factors) {
        float z = (float) random.nextGaussian();
        for (int j = 0; j < in; j++) {
          rows[row * in + j] += z * factor[j];
        }
      }
      for (int j = 0; j < in; j++) {
        rows[row * in + j] += (float) (own[j] * random.nextGaussian());
      }
    }
    return rows;
  }
}
