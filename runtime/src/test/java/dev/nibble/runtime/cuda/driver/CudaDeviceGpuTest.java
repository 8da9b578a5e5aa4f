package dev.nibble.runtime.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.cuda.KernelModule;
import dev.nibble.runtime.cuda.RequiresGpu;
import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceBuffer;
import dev.nibble.runtime.device.DeviceException;
import dev.nibble.runtime.device.OutOfDeviceMemoryException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@RequiresGpu
class CudaDeviceGpuTest {
  private final CudaDevice device = CudaDriver.open().device(0);

  @AfterEach
  void close() {
    device.close();
  }

  private static int[] words(CudaStream stream, long address, int count) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(ValueLayout.JAVA_INT, count);
      stream.copyOut(host, address);
      stream.synchronize();
      return host.toArray(ValueLayout.JAVA_INT);
    }
  }

  @Test
  void tellsWhatItIs() {
    DeviceInfo info = device.info();
    assertTrue(info.capability() >= 80, info.description());
    assertTrue(info.multiprocessors() > 0);
    assertTrue(info.l2Bytes() > 1 << 20);
    assertTrue(info.sharedBytesPerBlock() >= 99 << 10);
    assertTrue(device.memory().freeBytes() > 0);
    assertTrue(device.memory().totalBytes() >= device.memory().freeBytes());
  }

  @Test
  void ordinalThatIsNotThereListsThoseThatAre() {
    DeviceException failure =
        assertThrows(DeviceException.class, () -> CudaDriver.open().device(99));
    assertTrue(
        String.valueOf(failure.getMessage()).startsWith("no cuda:99: there is cuda:0 ("),
        failure.getMessage());
  }

  @Test
  void kernelWritesExactlyItsWords() {
    CudaModule module = KernelModule.load(device, "fill");
    Kernel fill = module.kernel("fill_words");
    try (DeviceArena arena = device.arena("test", Long.MAX_VALUE);
        DeviceBuffer buffer = arena.allocate("words", 4 * 1000);
        CudaStream stream = device.newStream();
        Arena host = Arena.ofConfined()) {
      stream.fill(buffer.address(), (byte) 0x7f, 4 * 1000);
      KernelArguments arguments = new KernelArguments(host);
      stream.launch(
          fill,
          LaunchShape.covering(999, 256, 1),
          arguments.clear().address(buffer.address()).i32(0x01020304).i64(999));
      int[] words = words(stream, buffer.address(), 1000);
      for (int i = 0; i < 999; i++) {
        assertEquals(0x01020304, words[i], "word " + i);
      }
      assertEquals(0x7f7f7f7f, words[999]);
    }
  }

  @Test
  void argumentsOfTheWrongShapeAreRefusedBeforeTheLaunch() {
    Kernel fill = KernelModule.load(device, "fill").kernel("fill_words");
    try (CudaStream stream = device.newStream();
        Arena host = Arena.ofConfined()) {
      KernelArguments arguments = new KernelArguments(host);
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  stream.launch(
                      fill, LaunchShape.of(1, 32), arguments.clear().address(0).i64(1).i64(1)));
      assertEquals(
          "kernel 'fill_words' has parameters of [8, 4, 8] bytes; given [8, 8, 8]",
          refused.getMessage());
    }
  }

  @Test
  void missingEntryPointIsNamed() {
    CudaModule module = KernelModule.load(device, "fill");
    DeviceException failure =
        assertThrows(DeviceException.class, () -> module.kernel("no_such_kernel"));
    assertEquals(
        "kernel module 'fill' has no entry point 'no_such_kernel': the jar mixes two builds; build"
            + " it again",
        failure.getMessage());
  }

  @Test
  void imageOfAnotherArchitectureIsTold() {
    DeviceException failure =
        assertThrows(DeviceException.class, () -> device.load("broken", new byte[4096]));
    assertTrue(
        String.valueOf(failure.getMessage()).contains("loading kernel module 'broken' failed"),
        failure.getMessage());
  }

  @Test
  void sharedMemoryBeyondTheDevicesIsRefusedWithItsNumbers() {
    Kernel fill = KernelModule.load(device, "fill").kernel("fill_words");
    fill.allowShared(device.info().sharedBytesPerBlock());
    DeviceException failure = assertThrows(DeviceException.class, () -> fill.allowShared(1 << 20));
    assertTrue(
        String.valueOf(failure.getMessage()).contains("1,048,576 bytes of shared memory"),
        failure.getMessage());
    assertTrue(fill.registers() > 0);
    assertEquals(0, fill.localBytes());
  }

  @Test
  void moreThanTheDeviceHasIsOutOfMemoryAndHarmsNothing() {
    try (DeviceArena arena = device.arena("test", Long.MAX_VALUE)) {
      OutOfDeviceMemoryException failure =
          assertThrows(
              OutOfDeviceMemoryException.class,
              () -> arena.allocate("everything", 2 * device.memory().totalBytes()));
      assertTrue(String.valueOf(failure.getMessage()).contains("/test: no memory for everything"));
      arena.allocate("a little", 1024).close();
      assertEquals(0, arena.inUseBytes());
    }
  }

  @Test
  void eventsOrderStreamsAndTellTime() {
    try (DeviceArena arena = device.arena("test", Long.MAX_VALUE);
        DeviceBuffer one = arena.allocate("one", 64 << 20);
        DeviceBuffer two = arena.allocate("two", 64 << 20);
        CudaStream writer = device.newStream();
        CudaStream reader = device.newStream();
        CudaEvent begin = device.newEvent();
        CudaEvent written = device.newEvent()) {
      reader.fill(two.address(), (byte) 0, two.byteSize());
      reader.synchronize();
      writer.record(begin);
      for (int i = 1; i <= 20; i++) {
        writer.fill(one.address(), (byte) i, one.byteSize());
      }
      writer.record(written);
      reader.waitFor(written);
      reader.copy(two.address(), one.address(), one.byteSize());
      assertEquals(0x14141414, words(reader, two.address() + (63 << 20), 1)[0]);
      assertTrue(written.millisSince(begin) > 0);
    }
  }

  @Test
  void copiesCrossTheBusWhole() {
    int bytes = 8 << 20;
    try (DeviceArena arena = device.arena("test", Long.MAX_VALUE);
        DeviceBuffer buffer = arena.allocate("bytes", bytes);
        PinnedBuffer there = device.newPinned(bytes);
        PinnedBuffer back = device.newPinned(bytes);
        CudaStream stream = device.newStream()) {
      for (int i = 0; i < bytes / 4; i++) {
        there.segment().setAtIndex(ValueLayout.JAVA_INT, i, i * 0x9e3779b9);
      }
      stream.copyIn(buffer.address(), there.segment());
      stream.copyOut(back.segment(), buffer.address());
      stream.synchronize();
      assertEquals(-1, there.segment().mismatch(back.segment()));
    }
  }

  @Test
  void manyThreadsLaunchAtOnce() throws InterruptedException, ExecutionException {
    Kernel fill = KernelModule.load(device, "fill").kernel("fill_words");
    try (DeviceArena arena = device.arena("test", Long.MAX_VALUE);
        ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<?>> done = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        int value = t + 1;
        done.add(
            threads.submit(() -> {
              try (DeviceBuffer buffer = arena.allocate("words", 4 * 4096);
                  CudaStream stream = device.newStream();
                  Arena host = Arena.ofConfined()) {
                KernelArguments arguments = new KernelArguments(host);
                for (int i = 0; i < 200; i++) {
                  stream.launch(
                      fill,
                      LaunchShape.covering(4096, 256, 1),
                      arguments.clear().address(buffer.address()).i32(value * i).i64(4096));
                  assertEquals(value * i, words(stream, buffer.address() + 4 * 4095, 1)[0]);
                }
              }
            }));
      }
      for (Future<?> future : done) {
        future.get();
      }
      assertEquals(0, arena.inUseBytes());
    }
  }

  @Test
  void closingTheDeviceWithOpenBuffersListsThem() {
    CudaDevice other = CudaDriver.open().device(0);
    DeviceArena arena = other.arena("leaky", Long.MAX_VALUE);
    DeviceBuffer leaked = arena.allocate("hidden", 1 << 20);
    CudaStream stream = other.newStream();
    IllegalStateException failure = assertThrows(IllegalStateException.class, other::close);
    assertTrue(
        String.valueOf(failure.getMessage()).contains("'hidden' (1,048,576 bytes)"),
        failure.getMessage());
    assertThrows(IllegalStateException.class, leaked::address);
    assertThrows(IllegalStateException.class, stream::synchronize);
  }
}
