package dev.nibble.converter.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ProgressListener;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class SlicePipelineTest {
  /// Counts its units in both passes, and fails where it is told to.
  private static final class CountingJob implements Job {
    private final long units;
    private final boolean surveys;
    private final long failAt;
    final AtomicLong surveyed = new AtomicLong();
    final AtomicLong run = new AtomicLong();
    final AtomicInteger started = new AtomicInteger();
    final AtomicInteger finished = new AtomicInteger();
    final AtomicInteger tooEarly = new AtomicInteger();

    CountingJob(long units, boolean surveys, long failAt) {
      this.units = units;
      this.surveys = surveys;
      this.failAt = failAt;
    }

    @Override
    public String tensor() {
      return "job";
    }

    @Override
    public long units() {
      return units;
    }

    @Override
    public long unitsPerSlice() {
      return 7;
    }

    @Override
    public long bufferBytes() {
      return 7;
    }

    @Override
    public long sourceBytes(long count) {
      return count;
    }

    @Override
    public boolean surveys() {
      return surveys;
    }

    @Override
    public void survey(long begin, long count, MemorySegment buffer) {
      if (begin == failAt) {
        throw new IllegalStateException("as it was told");
      }
      surveyed.addAndGet(count);
    }

    @Override
    public void start() {
      started.incrementAndGet();
    }

    @Override
    public void run(long begin, long count, MemorySegment buffer) {
      tooEarly.addAndGet(surveys && surveyed.get() != units ? 1 : 0);
      run.addAndGet(count);
    }

    @Override
    public void finish() {
      finished.incrementAndGet();
    }
  }

  private static void run(List<CountingJob> jobs, int threads, Cancellation cancellation)
      throws IOException {
    new SlicePipeline(threads, ProgressListener.none(), cancellation).run(jobs);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5, 16})
  void everyUnitIsSurveyedBeforeTheFirstIsRun(int threads) throws IOException {
    for (int round = 0; round < 50; round++) {
      List<CountingJob> jobs = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        jobs.add(new CountingJob(i == 3 ? 0 : 10L * i + 1, i % 2 == 1, -1));
      }
      run(jobs, threads, new Cancellation());
      for (CountingJob job : jobs) {
        assertEquals(job.units, job.run.get());
        assertEquals(job.surveys ? job.units : 0, job.surveyed.get());
        assertEquals(0, job.tooEarly.get());
        assertEquals(1, job.started.get());
        assertEquals(1, job.finished.get());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 16})
  void aSurveyThatFailsEndsTheRun(int threads) {
    for (long failAt : new long[] {0, 49, 98}) {
      CountingJob bad = new CountingJob(100, true, failAt);
      CountingJob next = new CountingJob(100, false, -1);
      IllegalStateException failure =
          assertThrows(
              IllegalStateException.class,
              () -> run(List.of(bad, next), threads, new Cancellation()));
      assertEquals("as it was told", failure.getMessage());
      assertEquals(0, bad.run.get());
      assertEquals(0, bad.finished.get());
    }
  }

  @Test
  void cancellationEndsASurvey() {
    Cancellation cancellation = new Cancellation();
    cancellation.cancel();
    CountingJob job = new CountingJob(100, true, -1);
    assertThrows(ConversionCancelledException.class, () -> run(List.of(job), 4, cancellation));
    assertTrue(job.run.get() == 0);
  }
}
