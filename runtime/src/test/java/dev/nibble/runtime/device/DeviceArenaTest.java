package dev.nibble.runtime.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

class DeviceArenaTest {
  private static final long MIB = 1 << 20;

  private final FakeMemory memory = new FakeMemory(100 * MIB);

  @Test
  void countsInEveryArenaAround() {
    try (DeviceArena all = DeviceArena.root(memory, "all", Long.MAX_VALUE);
        DeviceArena request = all.child("request 1", 10 * MIB)) {
      try (DeviceBuffer buffer = request.allocate("hidden", 4 * MIB)) {
        assertEquals(4 * MIB, buffer.byteSize());
        assertEquals(0, buffer.address() % 256);
        assertEquals(4 * MIB, request.inUseBytes());
        assertEquals(4 * MIB, all.inUseBytes());
        assertEquals(96 * MIB, memory.freeBytes());
      }
      assertEquals(0, request.inUseBytes());
      assertEquals(0, all.inUseBytes());
      assertEquals(4 * MIB, request.peakBytes());
    }
    assertEquals(100 * MIB, memory.freeBytes());
  }

  @Test
  void limitOfAnyArenaAroundHoldsAndSaysWhose() {
    try (DeviceArena all = DeviceArena.root(memory, "all", 10 * MIB);
        DeviceArena request = all.child("request 7");
        DeviceBuffer first = request.allocate("hidden", 8 * MIB)) {
      OutOfDeviceMemoryException refused =
          assertThrows(
              OutOfDeviceMemoryException.class, () -> request.allocate("attention", 3 * MIB));
      assertEquals(
          "cuda:0/all/request 7: no memory for attention (3.0 MiB): 8.0 MiB of 10.0 MiB in use;"
              + " raise the memory limit of cuda:0/all, or run fewer requests at once",
          refused.getMessage());
      assertEquals(3 * MIB, refused.requestedBytes());
      assertEquals(8 * MIB, refused.inUseBytes());
      assertEquals(10 * MIB, refused.limitBytes());
      assertEquals(8 * MIB, request.inUseBytes());
      assertEquals("hidden", first.name());
    }
  }

  @Test
  void fullDeviceSaysSoAndReservesNothing() {
    try (DeviceArena all = DeviceArena.root(memory, "all", Long.MAX_VALUE)) {
      OutOfDeviceMemoryException refused =
          assertThrows(OutOfDeviceMemoryException.class, () -> all.allocate("weights", 200 * MIB));
      assertTrue(
          String.valueOf(refused.getMessage())
              .startsWith("cuda:0/all: no memory for weights (200.0 MiB): 0.0 MiB"),
          refused.getMessage());
      assertTrue(String.valueOf(refused.getMessage()).contains("end other programs on cuda:0"));
      assertEquals(0, all.inUseBytes());
    }
  }

  @Test
  void closingWithOpenBuffersListsThemAndGivesThemBack() {
    DeviceArena all = DeviceArena.root(memory, "all", Long.MAX_VALUE);
    DeviceArena request = all.child("request");
    DeviceBuffer leaked = request.allocate("hidden", MIB);
    IllegalStateException inner = assertThrows(IllegalStateException.class, request::close);
    assertEquals(
        "device arena 'cuda:0/all/request' closed with 1 open buffers: 'hidden' (1,048,576 bytes)",
        inner.getMessage());
    assertThrows(IllegalStateException.class, leaked::address);
    assertThrows(IllegalStateException.class, () -> request.allocate("more", 1));
    assertEquals(100 * MIB, memory.freeBytes());
    request.close();
    all.close();
  }

  @Test
  void closingWithOpenArenasNamesThem() {
    DeviceArena all = DeviceArena.root(memory, "all", Long.MAX_VALUE);
    DeviceArena request = all.child("request");
    DeviceBuffer leaked = request.allocate("hidden", MIB);
    IllegalStateException failure = assertThrows(IllegalStateException.class, all::close);
    assertTrue(String.valueOf(failure.getMessage()).contains("1 open arenas: cuda:0/all/request"));
    assertTrue(String.valueOf(failure.getMessage()).contains("'hidden' (1,048,576 bytes)"));
    assertThrows(IllegalStateException.class, leaked::address);
    assertEquals(100 * MIB, memory.freeBytes());
  }

  @Test
  void buffersCloseOnce() {
    try (DeviceArena all = DeviceArena.root(memory, "all", Long.MAX_VALUE)) {
      DeviceBuffer buffer = all.allocate("hidden", MIB);
      buffer.close();
      buffer.close();
      assertEquals(0, all.inUseBytes());
    }
  }

  @Test
  void manyThreadsLeaveNothing() throws InterruptedException, ExecutionException {
    try (DeviceArena all = DeviceArena.root(memory, "all", 90 * MIB);
        ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<?>> done = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        SplittableRandom random = new SplittableRandom(t);
        String name = "request " + t;
        done.add(
            threads.submit(() -> {
              for (int i = 0; i < 200; i++) {
                try (DeviceArena request = all.child(name, 10 * MIB);
                    DeviceBuffer one = request.allocate("a", 1 + random.nextLong(4 * MIB));
                    DeviceBuffer two = request.allocate("b", 1 + random.nextLong(4 * MIB))) {
                  assertTrue(one.address() != two.address());
                }
              }
            }));
      }
      for (Future<?> future : done) {
        future.get();
      }
      assertEquals(0, all.inUseBytes());
      assertTrue(all.peakBytes() <= 90 * MIB);
    }
    assertEquals(100 * MIB, memory.freeBytes());
  }
}
