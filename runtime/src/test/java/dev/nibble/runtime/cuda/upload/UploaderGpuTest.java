package dev.nibble.runtime.cuda.upload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.cuda.RequiresGpu;
import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaDriver;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceBuffer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@RequiresGpu
class UploaderGpuTest {
  private static final int BYTES = 48 << 20;

  private final CudaDevice device = CudaDriver.open().device(0);
  private final Arena arena = Arena.ofShared();

  @TempDir Path folder;

  @AfterEach
  void close() {
    arena.close();
    device.close();
  }

  private MemorySegment mapped() throws IOException {
    byte[] random = new byte[BYTES];
    new SplittableRandom(5).nextBytes(random);
    try (FileChannel file =
        FileChannel.open(
            folder.resolve("weights"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.wrap(random);
      while (bytes.hasRemaining()) {
        file.write(bytes);
      }
      return file.map(FileChannel.MapMode.READ_ONLY, 0, BYTES, arena);
    }
  }

  /// Pieces as a checkpoint has them: some large, many small, with gaps, at odd addresses.
  private static List<Piece> pieces(MemorySegment file, DeviceBuffer buffer) {
    SplittableRandom random = new SplittableRandom(9);
    List<Piece> pieces = new ArrayList<>();
    long at = 1234;
    while (at < BYTES) {
      long size = random.nextInt(3) == 0 ? random.nextLong(9 << 20) : random.nextLong(5000);
      long bytes = Math.min(size, BYTES - at);
      pieces.add(new Piece(file.asSlice(at, bytes), buffer.address() + at));
      at += bytes + (random.nextBoolean() ? 0 : random.nextLong(20_000));
    }
    return pieces;
  }

  @ParameterizedTest
  @CsvSource({"1, 4096", "4, 1000", "4, 1048576", "12, 2097152"})
  void everyByteArrivesAndNoOther(int threads, long bufferBytes) throws IOException {
    MemorySegment file = mapped();
    try (Uploader uploader = new Uploader(device, threads, bufferBytes);
        DeviceArena memory = device.arena("test", Long.MAX_VALUE);
        DeviceBuffer buffer = memory.allocate("weights", BYTES);
        CudaStream stream = device.newStream()) {
      stream.fill(buffer.address(), (byte) 0x5a, BYTES);
      stream.synchronize();
      List<Piece> pieces = pieces(file, buffer);
      AtomicLong last = new AtomicLong();
      uploader.upload(
          pieces,
          (done, total) -> {
            assertTrue(done > last.get() && done <= total);
            last.set(done);
          },
          () -> false);
      assertEquals(pieces.stream().mapToLong(p -> p.source().byteSize()).sum(), last.get());
      MemorySegment expected = arena.allocate(BYTES).fill((byte) 0x5a);
      for (Piece piece : pieces) {
        expected.asSlice(piece.target() - buffer.address()).copyFrom(piece.source());
      }
      MemorySegment back = arena.allocate(BYTES);
      stream.copyOut(back, buffer.address());
      stream.synchronize();
      assertEquals(-1, expected.mismatch(back));
    }
  }

  @Test
  void mappingCanBeUploadedAgainAndByTwoAtOnce() throws IOException, InterruptedException {
    MemorySegment file = mapped();
    try (Uploader uploader = new Uploader(device);
        DeviceArena memory = device.arena("test", Long.MAX_VALUE);
        DeviceBuffer one = memory.allocate("one", BYTES);
        DeviceBuffer two = memory.allocate("two", BYTES);
        CudaStream stream = device.newStream()) {
      List<Thread> threads = new ArrayList<>();
      for (DeviceBuffer buffer : List.of(one, two)) {
        threads.add(
            Thread.ofPlatform()
                .start(() ->
                    uploader.upload(
                        List.of(new Piece(file, buffer.address())),
                        Uploader.Progress.NONE,
                        () -> false)));
      }
      for (Thread thread : threads) {
        thread.join();
      }
      for (DeviceBuffer buffer : List.of(one, two)) {
        MemorySegment back = arena.allocate(BYTES);
        stream.copyOut(back, buffer.address());
        stream.synchronize();
        assertEquals(-1, file.mismatch(back));
      }
    }
  }

  @Test
  void cancelledUploadSaysSo() throws IOException {
    MemorySegment file = mapped();
    try (Uploader uploader = new Uploader(device);
        DeviceArena memory = device.arena("test", Long.MAX_VALUE);
        DeviceBuffer buffer = memory.allocate("weights", BYTES)) {
      AtomicLong asked = new AtomicLong();
      assertThrows(
          CancellationException.class,
          () ->
              uploader.upload(
                  List.of(new Piece(file, buffer.address())),
                  Uploader.Progress.NONE,
                  () -> asked.incrementAndGet() > 3));
    }
  }
}
