package dev.nibble.converter.linalg;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.nibble.formats.NibbleException;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkersTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void runsEveryTaskOnce(int threads) {
    AtomicIntegerArray runs = new AtomicIntegerArray(100);
    try (Workers workers = new Workers(threads)) {
      workers.each(0, runs::incrementAndGet);
      workers.each(100, runs::incrementAndGet);
    }
    int[] counts = new int[100];
    Arrays.setAll(counts, runs::get);
    int[] ones = new int[100];
    Arrays.fill(ones, 1);
    assertArrayEquals(ones, counts);
  }

  /// Whichever thread meets it.
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void handsOnWhatATaskThrows(int threads) {
    NibbleException wrong = new NibbleException("wrong");
    try (Workers workers = new Workers(threads)) {
      for (int bad = 0; bad < 8; bad++) {
        int one = bad;
        assertSame(
            wrong,
            assertThrows(
                NibbleException.class,
                () ->
                    workers.each(
                        8,
                        i -> {
                          if (i == one) {
                            throw wrong;
                          }
                        })));
      }
    }
  }
}
