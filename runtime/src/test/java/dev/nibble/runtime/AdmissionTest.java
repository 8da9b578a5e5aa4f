package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.PipelineOptions.Shortage;
import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceBuffer;
import dev.nibble.runtime.device.FakeMemory;
import dev.nibble.runtime.device.OutOfDeviceMemoryException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class AdmissionTest {
  private static final long MIB = 1 << 20;

  private final DeviceArena memory =
      DeviceArena.root(new FakeMemory(1000 * MIB), "backend", 100 * MIB);
  private final ExecutorService threads = Executors.newFixedThreadPool(8);
  private final Cancellation never = new Cancellation();

  @AfterEach
  void close() {
    threads.close();
    memory.close();
  }

  /// Takes memory in two parts, as a request takes it step by step.
  private int request(long bytes, int answer) {
    try (DeviceArena own = memory.child("request " + answer);
        DeviceBuffer one = own.allocate("one", bytes / 2)) {
      LockSupport.parkNanos(200_000); // so that others run beside
      try (DeviceBuffer two = own.allocate("two", bytes / 2)) {
        return one.byteSize() + two.byteSize() == bytes ? answer : -1;
      }
    }
  }

  @Test
  void queuedRequestsAllSucceedThoughTheyNeverFitTogether()
      throws InterruptedException, ExecutionException {
    Admission admission = new Admission(Shortage.QUEUE);
    List<Future<Integer>> answers = new ArrayList<>();
    for (int i = 0; i < 400; i++) {
      int answer = i;
      long bytes = i % 7 == 0 ? 96 * MIB : 34 * MIB;
      answers.add(threads.submit(() -> admission.run(() -> request(bytes, answer), never)));
    }
    for (int i = 0; i < answers.size(); i++) {
      assertEquals(i, answers.get(i).get());
    }
    assertEquals(0, memory.inUseBytes());
  }

  @Test
  void requestThatDoesNotFitAloneFails() {
    Admission admission = new Admission(Shortage.QUEUE);
    assertThrows(
        OutOfDeviceMemoryException.class, () -> admission.run(() -> request(120 * MIB, 1), never));
    assertEquals(2, admission.run(() -> request(80 * MIB, 2), never));
  }

  @Test
  void queuedRequestBeginsAgainWhenTheOtherIsDone()
      throws InterruptedException, ExecutionException {
    Admission admission = new Admission(Shortage.QUEUE);
    CountDownLatch holds = new CountDownLatch(1);
    CountDownLatch failed = new CountDownLatch(1);
    AtomicInteger attempts = new AtomicInteger();
    Future<Integer> first = threads.submit(() -> admission.run(() -> hold(holds, failed), never));
    holds.await();
    Future<Integer> second =
        threads.submit(() ->
            admission.run(
                () -> {
                  attempts.incrementAndGet();
                  try {
                    return request(80 * MIB, 2);
                  } finally {
                    failed.countDown();
                  }
                },
                never));
    assertEquals(1, first.get());
    assertEquals(2, second.get());
    assertEquals(2, attempts.get());
  }

  private int hold(CountDownLatch holds, CountDownLatch until) {
    try (DeviceBuffer buffer = memory.allocate("held", 60 * MIB)) {
      holds.countDown();
      until.await();
      return buffer.byteSize() > 0 ? 1 : 0;
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void refusedRequestFailsAtOnce() throws InterruptedException, ExecutionException {
    Admission admission = new Admission(Shortage.REFUSE);
    CountDownLatch holds = new CountDownLatch(1);
    CountDownLatch refused = new CountDownLatch(1);
    Future<Integer> first = threads.submit(() -> admission.run(() -> hold(holds, refused), never));
    holds.await();
    OutOfDeviceMemoryException failure =
        assertThrows(
            OutOfDeviceMemoryException.class,
            () -> admission.run(() -> request(80 * MIB, 2), never));
    assertTrue(String.valueOf(failure.getMessage()).contains("run fewer requests at once"));
    refused.countDown();
    assertEquals(1, first.get());
  }

  @Test
  void cancelledRequestStopsWaiting() throws InterruptedException, ExecutionException {
    Admission admission = new Admission(Shortage.QUEUE);
    CountDownLatch holds = new CountDownLatch(1);
    CountDownLatch cancelled = new CountDownLatch(1);
    Cancellation wish = new Cancellation();
    Future<Integer> first =
        threads.submit(() -> admission.run(() -> hold(holds, cancelled), never));
    holds.await();
    GenerationCancelledException failure =
        assertThrows(
            GenerationCancelledException.class,
            () ->
                admission.run(
                    () -> {
                      wish.cancel();
                      return request(80 * MIB, 2);
                    },
                    wish));
    assertEquals(
        "the generation was cancelled while it waited for memory of the device",
        failure.getMessage());
    cancelled.countDown();
    assertEquals(1, first.get());
    assertEquals(3, admission.run(() -> request(80 * MIB, 3), never));
  }
}
