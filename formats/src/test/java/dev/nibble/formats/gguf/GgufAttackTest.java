package dev.nibble.formats.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.sun.management.ThreadMXBean;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.UnsupportedException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Files damaged at random: a reader may refuse them with a line that names the file, or read what
/// is there, and nothing else: no other exception, no tensor outside the file or inside another, no
/// memory beyond a multiple of the file.
class GgufAttackTest {
  private static final Path FILE = Path.of("attack.gguf");
  private static final int ROUNDS = 2000;

  /// Far above what these small files need, far below what a believed count would ask for.
  private static final long MAX_ALLOCATION = 8 << 20;

  /// Numbers that are likely to hit a rule.
  private static final long[] SPLINTERS = {
    0,
    1,
    2,
    7,
    8,
    9,
    12,
    13,
    31,
    32,
    33,
    255,
    256,
    1L << 31,
    1L << 32,
    1L << 61,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    -1,
    -32
  };

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gguf/all_types_flux.gguf",
        "gguf/align64_qwen_image.gguf",
        "gguf/orig_shape_lumina2.gguf",
        "gguf_malformed/ok_minimal.gguf",
        "gguf_malformed/array_of_arrays.gguf"
      })
  void refusesOrReads(String golden) throws IOException {
    byte[] original = Files.readAllBytes(Fixtures.path("goldens/" + golden));
    int header = (int) GgufHeader.parse(FILE, MemorySegment.ofArray(original)).size();
    int refused = 0;
    for (long seed = 0; seed < ROUNDS; seed++) {
      byte[] damaged = damage(original, header, new Random(seed));
      refused += attack(damaged, golden + ", seed " + seed) ? 1 : 0;
    }
    assertTrue(refused > ROUNDS / 4, "damage often shows, but only %d showed".formatted(refused));
  }

  /// Whether it was refused.
  private static boolean attack(byte[] bytes, String what) {
    var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    boolean refused = false;
    try {
      check(GgufHeader.parse(FILE, MemorySegment.ofArray(bytes)), bytes.length, what);
    } catch (FormatException | UnsupportedException e) {
      refused = true;
      String message = String.valueOf(e.getMessage());
      assertTrue(message.startsWith(FILE.toString()), what + ": " + message);
      assertTrue(message.length() < 1200, what + ": " + message);
      assertEquals(1, message.lines().count(), what + ": " + message);
    } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
      fail(what, e);
    }
    long allocated = threads.getCurrentThreadAllocatedBytes() - before;
    assertTrue(allocated < MAX_ALLOCATION, what + ": allocated " + allocated);
    return refused;
  }

  private static void check(GgufHeader header, long fileSize, String what) {
    long end = header.size();
    for (GgufTensor tensor : header.tensors().values()) {
      if (tensor.offset() < end || tensor.offset() + tensor.byteSize() > fileSize) {
        fail(what + ": " + tensor + " lies outside the file, or in another");
      }
      end = tensor.offset() + tensor.byteSize();
      tensor.stored(header.shape(FILE, tensor));
    }
  }

  private static byte[] damage(byte[] original, int header, Random random) {
    byte[] bytes = original.clone();
    for (int times = random.nextInt(3); times >= 0; times--) {
      bytes = damageOnce(bytes, Math.min(header, bytes.length), random);
    }
    return bytes;
  }

  private static byte[] damageOnce(byte[] bytes, int header, Random random) {
    if (header < 9) {
      return bytes;
    }
    int at = random.nextInt(header - 8);
    switch (random.nextInt(6)) {
      case 0 -> {
        return Arrays.copyOf(bytes, random.nextInt(bytes.length));
      }
      case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
      case 2 -> bytes[at] = (byte) random.nextInt(256);
      case 3 ->
          MemorySegment.ofArray(bytes)
              .set(LittleEndian.LONG, at, SPLINTERS[random.nextInt(SPLINTERS.length)]);
      case 4 ->
          MemorySegment.ofArray(bytes)
              .set(LittleEndian.INT, at, (int) SPLINTERS[random.nextInt(SPLINTERS.length)]);
      default -> {
        int end = at + random.nextInt(Math.min(100, header - at));
        byte[] cut = new byte[bytes.length - (end - at)];
        System.arraycopy(bytes, 0, cut, 0, at);
        System.arraycopy(bytes, end, cut, at, bytes.length - end);
        return cut;
      }
    }
    return bytes;
  }
}
