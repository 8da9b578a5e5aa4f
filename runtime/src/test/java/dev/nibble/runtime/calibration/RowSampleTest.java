package dev.nibble.runtime.calibration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RowSampleTest {
  private final CpuBackend backend = new CpuBackend(1);
  private final Ops ops = backend.newOps("test");

  @AfterEach
  void close() {
    ops.close();
    backend.close();
  }

  /// Rows `[first, first + count)` of one column that holds the row's number.
  private Tensor rows(int first, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = first + i;
    }
    return ops.fromHost(values, count, 1);
  }

  @Test
  void keepsAllWhileThereIsRoom() {
    RowSample sample = new RowSample("a", 1, 10);
    sample.add(0, rows(0, 4), ops);
    sample.add(4, rows(4, 3), ops);
    assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5, 6}, sample.rows());
  }

  @Test
  void callsAndRestoresChangeNothing() {
    RowSample once = new RowSample("layer", 1, 16);
    once.add(0, rows(0, 1000), ops);
    RowSample before = new RowSample("layer", 1, 16);
    before.add(0, rows(0, 333), ops);
    RowSample after = new RowSample("layer", 1, 16);
    after.restore(before.rows());
    for (int i = 333; i < 1000; i += 23) {
      after.add(i, rows(i, Math.min(23, 1000 - i)), ops);
    }
    assertArrayEquals(once.rows(), after.rows());
  }

  /// Mean and spread of the kept numbers, over many inputs, are those of all.
  @Test
  void keepsRowsFromEverywhere() {
    int count = 1000;
    int kept = 0;
    double sum = 0;
    double squares = 0;
    for (int input = 0; input < 200; input++) {
      RowSample sample = new RowSample("layers." + input, 1, 16);
      sample.add(0, rows(0, count), ops);
      for (float row : sample.rows()) {
        kept++;
        sum += row;
        squares += row * row;
      }
    }
    assertEquals(200 * 16, kept);
    double mean = sum / kept;
    double deviation = Math.sqrt(squares / kept - mean * mean);
    // Of 3200 draws the mean is known to 5, the deviation to 3.
    assertEquals(499.5, mean, 20);
    assertEquals(288.7, deviation, 12);
  }

  @Test
  void keepsNoneIfToldSo() {
    RowSample sample = new RowSample("a", 1, 0);
    sample.add(0, rows(0, 5), ops);
    assertTrue(sample.rows().length == 0);
  }
}
