package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Which twin runs, told by twins that take as long as the test wants.
class WarmupTest {
  private final Warmup warmup = new Warmup();
  private final List<String> ran = new ArrayList<>();
  private long vectorNanos = 1_000_000;

  private void call() {
    warmup.run(1024, () -> work("vector", vectorNanos), () -> work("scalar", 100_000));
  }

  private void work(String name, long nanos) {
    ran.add(name);
    for (long end = System.nanoTime() + nanos; System.nanoTime() < end; ) {
      Thread.onSpinWait();
    }
  }

  @Test
  void theScalarTwinIsMeasuredFirstAndSlowTriesDecideNothing() {
    for (int i = 0; i < 100; i++) {
      call();
    }
    assertEquals("scalar", ran.getFirst());
    assertTrue(ran.contains("vector"), "never tried");
    assertFalse(warmup.isWarm());
  }

  @Test
  void theFirstFastTryDecides() {
    call();
    vectorNanos = 0;
    for (int i = 0; i < 100 && !warmup.isWarm(); i++) {
      call();
    }
    assertTrue(warmup.isWarm(), "calls: " + ran);
    assertEquals("vector", ran.getLast());
  }

  @Test
  void resultsComeFromTheTwinThatRan() {
    assertEquals("scalar", warmup.call(1, () -> "vector", () -> "scalar"));
  }
}
