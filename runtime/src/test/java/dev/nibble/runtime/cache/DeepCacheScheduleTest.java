package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.nibble.runtime.cache.DeepCacheSchedule.Part;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DeepCacheScheduleTest {
  /// The numbers are those of the source's own code.
  @ParameterizedTest
  @CsvSource({
    "50,  5, 15, 1.4, '[0, 5, 9, 13, 17, 21, 26, 31, 37, 43]'",
    "50,  5, 15, 1.2, '[0, 5, 10, 14, 18, 22, 27, 32, 38, 44]'",
    "50, 10, 10, 1.3, '[0, 8, 16, 26, 37]'",
  })
  void nonUniform(int steps, int interval, int centre, double power, String full) {
    assertEquals(
        full, DeepCacheSchedule.nonUniform(steps, interval, centre, power).fullSteps().toString());
  }

  @Test
  void uniform() {
    DeepCacheSchedule schedule = DeepCacheSchedule.uniform(10, 3);
    assertEquals(List.of(0, 3, 6, 9), schedule.fullSteps());
    assertEquals(true, schedule.full(6));
    assertEquals(false, schedule.full(7));
  }

  @Test
  void noPowerGivesAsManyStepsAsThereAre() {
    assertThrows(
        IllegalArgumentException.class, () -> DeepCacheSchedule.nonUniform(20, 1, 10, 1.4));
  }

  @Test
  void theShallowestBranchComputesOneLayer() {
    assertEquals(List.of("UP 0 0"), computed(0));
  }

  /// Branch 4 joins after the second layer of the second down block.
  @Test
  void aDeeperBranchComputesMore() {
    assertEquals(
        List.of(
            "DOWN 0 0",
            "DOWN 0 1",
            "DOWN 0 2",
            "DOWN 1 0",
            "UP 0 0",
            "UP 0 1",
            "UP 0 2",
            "UP 1 0",
            "UP 1 1"),
        computed(4));
  }

  @Test
  void neverTheMiddleAlwaysTheOutside() {
    for (int branch = 0; branch < 12; branch++) {
      assertEquals(true, DeepCacheSchedule.skips(branch, Part.MIDDLE, 0, 0));
      assertEquals(false, DeepCacheSchedule.skips(branch, Part.OUTSIDE, 0, 0));
    }
  }

  private static List<String> computed(int branch) {
    List<String> computed = new ArrayList<>();
    for (Part part : List.of(Part.DOWN, Part.UP)) {
      for (int block = 0; block < 4; block++) {
        for (int layer = 0; layer < 3; layer++) {
          if (!DeepCacheSchedule.skips(branch, part, block, layer)) {
            computed.add("%s %d %d".formatted(part, block, layer));
          }
        }
      }
    }
    return computed;
  }
}
