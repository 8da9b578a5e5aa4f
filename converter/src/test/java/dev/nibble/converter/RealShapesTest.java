package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.converter.RealShapes.Layer;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.calibration.CalibrationFile;
import dev.nibble.formats.calibration.InputStatistics;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The made-up layers have what makes quantization hard: tails, outliers, correlation.
class RealShapesTest {
  private static final Layer LAYER = new Layer("layers.0.attention.to_out.0", 192, 128);

  @TempDir Path folder;

  @Test
  void equalSeedsGiveEqualFiles() throws IOException {
    Path first = folder.resolve("a.safetensors");
    Path second = folder.resolve("b.safetensors");
    RealShapes.writeWeights(first, List.of(LAYER));
    RealShapes.writeWeights(second, List.of(LAYER));
    assertEquals(-1, Files.mismatch(first, second));
    RealShapes.writeStatistics(first, List.of(LAYER));
    RealShapes.writeStatistics(second, List.of(LAYER));
    assertEquals(-1, Files.mismatch(first, second));
  }

  @Test
  void weightsHaveHeavyTails() throws IOException {
    Path file = folder.resolve("real.safetensors");
    RealShapes.writeWeights(file, List.of(LAYER));
    try (Checkpoint checkpoint = Checkpoints.open(file)) {
      assertEquals(List.of(LAYER.module() + ".weight"), List.copyOf(checkpoint.tensors().keySet()));
      TensorInfo tensor = checkpoint.tensors().values().iterator().next();
      assertEquals(DType.BF16, tensor.dtype());
      MemorySegment data = checkpoint.data(tensor);
      double squares = 0;
      double fourths = 0;
      long count = tensor.shape().elements();
      for (long i = 0; i < count; i++) {
        double value = Float.intBitsToFloat(data.get(LittleEndian.SHORT, 2 * i) << 16);
        squares += value * value;
        fourths += value * value * value * value;
      }
      double variance = squares / count;
      assertEquals(0.025, Math.sqrt(variance), 0.008);
      double kurtosis = fourths / count / (variance * variance);
      assertTrue(kurtosis > 4, "a normal distribution has 3, not " + kurtosis);
    }
  }

  @Test
  void statisticsAreOfOneCovarianceWithOutliers() throws IOException {
    Path file = folder.resolve("stats.safetensors");
    RealShapes.writeStatistics(file, List.of(LAYER));
    try (CalibrationFile stats = CalibrationFile.open(file)) {
      InputStatistics input = stats.of(LAYER.module()).orElseThrow();
      double[][] hessian = matrix(input);
      double[] squares = input.meanSquare();
      double[] sorted = squares.clone();
      Arrays.sort(sorted);
      assertTrue(sorted[127] > 20 * sorted[64], "no outlier: " + sorted[127] + ", " + sorted[64]);
      double sampled = 0;
      for (int j = 0; j < 128; j++) {
        assertEquals(hessian[j][j], squares[j] * input.count(), 1e-6 * hessian[j][j]);
        assertTrue(input.meanAbs()[j] < Math.sqrt(squares[j]), "mean |x| of " + j);
        assertTrue(input.maxAbs()[j] > 4 * Math.sqrt(squares[j]), "max |x| of " + j);
        sampled += sampleSquare(input, j) / squares[j] / 128;
      }
      assertEquals(1, sampled, 0.15, "the sample is of other rows");
      assertPositiveDefinite(hessian);
    }
  }

  private static double[][] matrix(InputStatistics input) {
    MemorySegment data = input.hessian().orElseThrow();
    double[][] matrix = new double[128][128];
    for (int i = 0; i < 128; i++) {
      for (int j = 0; j < 128; j++) {
        matrix[i][j] = data.get(LittleEndian.FLOAT, 4L * (128 * i + j));
        assertEquals(data.get(LittleEndian.FLOAT, 4L * (128 * j + i)), matrix[i][j], "symmetry");
      }
    }
    return matrix;
  }

  private static double sampleSquare(InputStatistics input, int feature) {
    double sum = 0;
    for (int row = 0; row < input.sampleRows(); row++) {
      double value = input.sample().get(LittleEndian.FLOAT, 4L * (128 * row + feature));
      sum += value * value;
    }
    return sum / input.sampleRows();
  }

  /// Cholesky's factorization finds a root for every pivot.
  private static void assertPositiveDefinite(double[][] a) {
    for (int j = 0; j < a.length; j++) {
      for (int k = 0; k < j; k++) {
        for (int i = j; i < a.length; i++) {
          a[i][j] -= a[i][k] * a[j][k];
        }
      }
      assertTrue(a[j][j] > 0, "pivot " + j + " is " + a[j][j]);
      double root = Math.sqrt(a[j][j]);
      for (int i = j; i < a.length; i++) {
        a[i][j] /= root;
      }
    }
  }
}
