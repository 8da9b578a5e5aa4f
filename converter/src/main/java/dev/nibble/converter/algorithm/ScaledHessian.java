package dev.nibble.converter.algorithm;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.calibration.InputStatistics;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;

/// The Hessian XᵀX of an input divided by its scale, dead inputs given a 1 on the diagonal. Reads
/// from the statistics; keeps the diagonal only.
final class ScaledHessian {
  private final InputStatistics input;
  private final MemorySegment hessian;
  private final int size;
  private final float[] inverseScale;
  private final float[] diagonal;
  private final boolean[] dead;

  private ScaledHessian(InputStatistics input, MemorySegment hessian, float[] inverseScale) {
    this.input = input;
    this.hessian = hessian;
    this.size = input.features();
    this.inverseScale = inverseScale;
    this.diagonal = new float[size];
    this.dead = new boolean[size];
  }

  /// @throws NibbleException if there is no Hessian, or none of its inputs is alive
  static ScaledHessian of(InputStatistics input, Optional<float[]> inputScale) {
    MemorySegment recorded =
        input
            .hessian()
            .orElseThrow(() ->
                new NibbleException(
                    "the statistics of input '%s' have no Hessian: calibrate anew with Hessians"
                        .formatted(input.name())));
    float[] inverseScale = new float[input.features()];
    Arrays.fill(inverseScale, 1f);
    inputScale.ifPresent(scale -> {
      for (int i = 0; i < inverseScale.length; i++) {
        inverseScale[i] = 1f / scale[i];
      }
    });
    ScaledHessian hessian = new ScaledHessian(input, recorded, inverseScale);
    hessian.readDiagonal();
    return hessian;
  }

  private void readDiagonal() {
    int living = 0;
    for (int i = 0; i < size; i++) {
      float value = hessian.get(LittleEndian.FLOAT, ((long) i * size + i) * Float.BYTES);
      dead[i] = value == 0;
      living += dead[i] ? 0 : 1;
      diagonal[i] = dead[i] ? 1 : value * inverseScale[i] * inverseScale[i];
    }
    if (living == 0) {
      throw new NibbleException(
          "input '%s' was nothing but zeros during calibration: calibrate anew"
              .formatted(input.name()));
    }
  }

  /// The diagonal, of dead inputs 1.
  float[] diagonal() {
    return diagonal;
  }

  double meanDiagonal() {
    double sum = 0;
    for (float value : diagonal) {
      sum += value;
    }
    return sum / size;
  }

  boolean[] dead() {
    return dead;
  }

  /// Reads a row of the Hessian in another order of inputs.
  ///
  /// @param order the input of each place
  /// @param ridge added to the diagonal
  void read(int place, int[] order, float ridge, float[] target, int at) {
    float[] row = new float[size];
    int input = order[place];
    read(input, row, 0);
    for (int i = 0; i < size; i++) {
      target[at + i] = row[order[i]];
    }
    target[at + place] += ridge;
  }

  /// Reads a row to `target` from `at`.
  void read(int row, float[] target, int at) {
    MemorySegment.copy(
        hessian, LittleEndian.FLOAT, (long) row * size * Float.BYTES, target, at, size);
    float scale = inverseScale[row];
    float check = 0;
    for (int i = 0; i < size; i++) {
      float value = target[at + i] * scale * inverseScale[i];
      target[at + i] = value;
      // NaN as soon as one number is not finite.
      check += value * 0;
    }
    if (check != 0) {
      throw new NibbleException(
          "the Hessian of input '%s' holds a value in row %d that is not finite: calibrate anew"
              .formatted(input.name(), row));
    }
    target[at + row] = diagonal[row];
  }
}
