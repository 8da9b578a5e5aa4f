package dev.nibble.formats.safetensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsWriterTest {
  private static final TensorSpec FIVE = new TensorSpec("five", DType.U8, Shape.of(5));

  private static final List<DType> DTYPES = List.of(DType.values());

  @TempDir Path folder;

  /// Random tensors in pieces of random size, in random order, from several threads, from all kinds
  /// of segments: what is read back is what was written.
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void roundTripInAnyOrderFromManyThreads(long seed) throws Exception {
    var random = new Random(seed);
    Map<String, byte[]> content = new HashMap<>();
    List<TensorSpec> fixed = new ArrayList<>();
    List<LateTensor> late = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      var dtype = DTYPES.get(random.nextInt(DTYPES.size()));
      var spec = new TensorSpec("t" + i, dtype, Shape.of(random.nextInt(200), 8));
      fixed.add(spec);
      content.put(spec.name(), bytes(random, (int) spec.byteSize()));
      byte[] document = bytes(random, random.nextInt(50));
      content.put("z" + i, document);
      late.add(new LateTensor("z" + i, document.length + random.nextInt(1000)));
    }
    Path file = folder.resolve("out.safetensors");
    var layout = SafetensorsLayout.plan(fixed, late, Map.of("k", "v"));
    try (var writer = SafetensorsWriter.create(file, layout);
        var pool = Executors.newFixedThreadPool(4)) {
      List<Callable<Boolean>> pieces = pieces(writer, layout, content, random);
      Collections.shuffle(pieces, random);
      for (var piece : pool.invokeAll(pieces)) {
        assertTrue(piece.get());
      }
      writer.finish();
    }
    assertTrue(Files.size(file) <= layout.maxFileSize(), "seed " + seed);
    try (var read = SafetensorsCheckpoint.open(file)) {
      assertEquals(content.keySet(), read.tensors().keySet());
      assertEquals(Map.of("k", "v"), read.metadata());
      for (TensorInfo tensor : read.tensors().values()) {
        byte[] expected = content.get(tensor.name());
        byte[] found = read.data(tensor).toArray(ValueLayout.JAVA_BYTE);
        assertArrayEquals(expected, found, tensor.name() + ", seed " + seed);
      }
    }
  }

  private static List<Callable<Boolean>> pieces(
      SafetensorsWriter writer,
      SafetensorsLayout layout,
      Map<String, byte[]> content,
      Random random) {
    List<Callable<Boolean>> pieces = new ArrayList<>();
    content.forEach((name, bytes) -> {
      if (!layout.tensors().containsKey(name)) {
        pieces.add(() -> done(() -> writer.writeLate(name, bytes)));
        return;
      }
      int from = 0;
      while (from < bytes.length) {
        int start = from;
        int end = Math.min(bytes.length, from + 1 + random.nextInt(400));
        int kind = random.nextInt(3);
        pieces.add(() -> done(() -> write(writer, name, bytes, start, end, kind)));
        from = end;
      }
    });
    return pieces;
  }

  private interface Step {
    void run() throws IOException;
  }

  private static boolean done(Step step) throws IOException {
    step.run();
    return true;
  }

  private static void write(
      SafetensorsWriter writer, String name, byte[] bytes, int start, int end, int kind)
      throws IOException {
    var heap = MemorySegment.ofArray(bytes).asSlice(start, end - start);
    try (var arena = Arena.ofConfined()) {
      switch (kind) {
        case 0 -> writer.write(name, start, heap);
        case 1 -> writer.write(name, start, heap.asReadOnly());
        default -> writer.write(name, start, arena.allocate(end - start).copyFrom(heap));
      }
    }
  }

  @Test
  void writesArraysOfOtherTypes() throws IOException {
    Path file = folder.resolve("floats.safetensors");
    var layout = plan(new TensorSpec("f", DType.F32, Shape.of(600_000)));
    float[] values = new float[600_000];
    values[599_999] = 1;
    try (var writer = SafetensorsWriter.create(file, layout)) {
      writer.write("f", 0, MemorySegment.ofArray(values));
      writer.finish();
    }
    try (var read = SafetensorsCheckpoint.open(file)) {
      var data = read.data(read.tensors().values().iterator().next());
      assertEquals(-1, data.mismatch(MemorySegment.ofArray(values)));
    }
  }

  @Test
  void writesBeyondFourGigabytes() throws IOException {
    long size = 5L << 30;
    Path file = folder.resolve("big.safetensors");
    var layout = plan(new TensorSpec("big", DType.U8, Shape.of(size)));
    byte[] tail = {1, 2, 3};
    try (var writer = SafetensorsWriter.create(file, layout)) {
      writer.write("big", size - 3, MemorySegment.ofArray(tail));
      var missing = assertThrows(IllegalStateException.class, writer::finish);
      assertEquals("tensor 'big' has 5368709120 bytes, 3 were written", missing.getMessage());
    }
    assertEquals(layout.maxFileSize(), Files.size(file));
    var found = ByteBuffer.allocate(3);
    try (var channel = FileChannel.open(file, StandardOpenOption.READ)) {
      channel.read(found, layout.offset("big") + size - 3);
    }
    assertArrayEquals(tail, found.array());
  }

  @Test
  void refusesWhatDoesNotFit() throws IOException {
    try (var writer = SafetensorsWriter.create(folder.resolve("x"), plan(FIVE))) {
      var six = MemorySegment.ofArray(new byte[6]);
      var one = six.asSlice(0, 1);
      assertThrows(IllegalArgumentException.class, () -> writer.write("five", 0, six));
      assertThrows(IllegalArgumentException.class, () -> writer.write("five", 5, one));
      assertThrows(IllegalArgumentException.class, () -> writer.write("five", -1, one));
      assertThrows(IllegalArgumentException.class, () -> writer.write("five", Long.MAX_VALUE, one));
      assertThrows(IllegalArgumentException.class, () -> writer.write("six", 0, one));
    }
  }

  @Test
  void refusesBytesWrittenTwice() throws IOException {
    try (var writer = SafetensorsWriter.create(folder.resolve("x"), plan(FIVE))) {
      writer.write("five", 0, MemorySegment.ofArray(new byte[5]));
      writer.write("five", 0, MemorySegment.ofArray(new byte[1]));
      assertThrows(IllegalStateException.class, writer::finish);
    }
  }

  @Test
  void refusesWrongLateTensors() throws IOException {
    var layout = SafetensorsLayout.plan(List.of(), List.of(new LateTensor("late", 3)), Map.of());
    try (var writer = SafetensorsWriter.create(folder.resolve("x"), layout)) {
      assertThrows(IllegalStateException.class, writer::finish);
      assertThrows(IllegalArgumentException.class, () -> writer.writeLate("late", new byte[4]));
      assertThrows(IllegalArgumentException.class, () -> writer.writeLate("five", new byte[1]));
      writer.writeLate("late", new byte[2]);
      assertThrows(IllegalStateException.class, () -> writer.writeLate("late", new byte[2]));
      writer.finish();
      assertThrows(IllegalStateException.class, writer::finish);
    }
  }

  @Test
  void failuresNameTheFileAsShown() {
    Path shown = Path.of("final.safetensors");
    var failure =
        assertThrows(
            IOException.class,
            () -> SafetensorsWriter.create(folder.resolve("no/x"), plan(FIVE), shown));
    assertEquals("final.safetensors: no such file or directory", failure.getMessage());
  }

  @Test
  void fullDiskNamesTheFile() throws IOException {
    Path full = Path.of("/dev/full");
    assumeTrue(Files.exists(full));
    try (var writer = SafetensorsWriter.create(full, plan(FIVE), Path.of("out.safetensors"))) {
      var five = MemorySegment.ofArray(new byte[5]);
      var failure = assertThrows(IOException.class, () -> writer.write("five", 0, five));
      assertEquals(
          "out.safetensors: no space left on the device: free some space, or write elsewhere",
          failure.getMessage());
      assertInstanceOf(IOException.class, failure.getCause());
    }
  }

  private static byte[] bytes(Random random, int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  private static SafetensorsLayout plan(TensorSpec... specs) {
    return SafetensorsLayout.plan(List.of(specs), List.of(), Map.of());
  }
}
