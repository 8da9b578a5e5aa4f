package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.cache.StepCaches;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.List;
import org.junit.jupiter.api.Test;

/// A server draws for months: what a picture takes it gives back.
class SteadyStateTest {
  private static final List<String> CACHES =
      List.of(
          "none",
          "fbcache:threshold=0.1",
          "dbcache:F=1,B=1,threshold=0.2,taylorseer=1",
          "fora:N=3",
          "teacache:threshold=0.3,coefficients=qwen-image");

  @Test
  void fiftyPicturesLeaveMemoryAsItWas() throws IOException, InterruptedException {
    try (Pipeline pipeline =
        Pipeline.open(Fixtures.path("models/emoji-zimage"), PipelineOptions.defaults())) {
      draw(pipeline, 10);
      long openBefore = pipeline.openBytes();
      long heapBefore = liveHeap();
      draw(pipeline, 50);
      assertEquals(openBefore, pipeline.openBytes(), "open bytes");
      long heapAfter = liveHeap();
      assertTrue(
          heapAfter <= heapBefore * 1.01,
          "live heap grew from %,d to %,d bytes".formatted(heapBefore, heapAfter));
    }
  }

  private static void draw(Pipeline pipeline, int pictures) throws IOException {
    for (int i = 0; i < pictures; i++) {
      GenerationRequest request =
          GenerationRequest.of("picture " + i)
              .withSteps(4)
              .withSeed(i)
              .withGuidance(i % 3 == 0 ? 1 : 0)
              .withCache(StepCaches.parse(CACHES.get(i % CACHES.size())));
      pipeline.generate(request);
    }
  }

  /// Bytes that survive collections; more than one, since the first may only find what to clear.
  private static long liveHeap() throws InterruptedException {
    long least = Long.MAX_VALUE;
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(50);
      least = Math.min(least, ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
    }
    return least;
  }
}
