package dev.nibble.runtime.calibration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.NibbleException;
import dev.nibble.formats.calibration.CalibrationWriter.Sums;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RecordedInputTest {
  private final CpuBackend backend = new CpuBackend(1);
  private final Ops ops = backend.newOps("test");
  private final RecordedInput input = new RecordedInput("layer", 2, 8);

  @AfterEach
  void close() {
    ops.close();
    backend.close();
  }

  @Test
  void addsRowsUp() {
    Tensor gram = ops.fromHost(new float[4], 2, 2);
    input.startPass(0, 2, Optional.of(gram));
    input.add(ops.fromHost(new float[] {1, -2, 3, 4}, 1, 2, 2), 1, ops, true);
    input.add(ops.fromHost(new float[] {-5, 6}, 1, 2), 1, ops, true);
    Sums sums = input.sums();
    assertEquals(3, sums.count());
    assertArrayEquals(new double[] {9, 12}, sums.absSum());
    assertArrayEquals(new float[] {5, 6}, sums.absMax());
    assertArrayEquals(new double[] {35, 56}, sums.squareSum());
    assertArrayEquals(new float[] {1, -2, 3, 4, -5, 6}, sums.sample());
    float[] values = ops.toHost(gram);
    assertEquals(35, values[0]);
    assertEquals(-20, values[2]);
    assertEquals(56, values[3]);
  }

  @Test
  void aPassForHessiansAloneCountsNothing() {
    input.add(ops.fromHost(new float[] {1, 2}, 1, 2), 1, ops, false);
    assertEquals(0, input.sums().count());
    assertEquals(0, input.sums().sample().length);
  }

  /// XᵀX of rows that weigh 4 is 4 XᵀX: they are recorded twice as large.
  @Test
  void weighsRows() {
    Tensor gram = ops.fromHost(new float[4], 2, 2);
    input.startPass(0, 2, Optional.of(gram));
    input.add(ops.fromHost(new float[] {1, -2}, 1, 2), 4, ops, true);
    assertArrayEquals(new float[] {2, 4}, input.sums().absMax());
    assertArrayEquals(new double[] {4, 16}, input.sums().squareSum());
    assertEquals(4, ops.toHost(gram)[0]);
    assertEquals(16, ops.toHost(gram)[3]);
  }

  @Test
  void knowsItsTensorByItsPlace() {
    Tensor x = ops.fromHost(new float[] {1, 2, 3, 4}, 2, 2);
    assertFalse(input.isCurrent(x));
    input.add(x, 1, ops, true);
    assertTrue(input.isCurrent(x.reshape(1, 2, 2)));
    assertFalse(input.isCurrent(x.rows(0, 1)));
    assertFalse(input.isCurrent(x.reshape(1, 4)));
    assertFalse(input.isCurrent(ops.persist(x)));
    ops.release(x);
    // In the memory that was just given back.
    assertFalse(input.isCurrent(ops.fromHost(new float[] {1, 2, 3, 4}, 2, 2)));
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, 1e30f})
  void whatIsNotFiniteIsRefused(float value) {
    Tensor x = ops.fromHost(new float[] {1, value}, 1, 2);
    NibbleException refusal = assertThrows(NibbleException.class, () -> input.add(x, 1, ops, true));
    assertTrue(String.valueOf(refusal.getMessage()).contains("layer 'layer'"));
  }
}
