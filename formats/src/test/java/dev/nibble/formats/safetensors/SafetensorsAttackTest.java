package dev.nibble.formats.safetensors;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.sun.management.ThreadMXBean;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.LittleEndian;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Files damaged at random: a reader may refuse them with a {@link FormatException} or read what is
/// there, and nothing else: no other exception, no tensor outside the file, no memory beyond a
/// multiple of the file.
class SafetensorsAttackTest {
  private static final Path FILE = Path.of("attack.safetensors");
  private static final int ROUNDS = 1500;

  /// Far above what these small files need, far below what a believed length would ask for.
  private static final long MAX_ALLOCATION = 4 << 20;

  /// Pieces that are likely to hit a rule.
  private static final String[] SPLINTERS = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\ud800",
    "-",
    "0",
    "9",
    "1e9",
    "99999999999999999999",
    "9223372036854775807",
    "null",
    "\"dtype\"",
    "\"F64\"",
    "\"shape\"",
    "\"data_offsets\"",
    "\0",
    "\"__metadata__\":",
    "\u00e9",
    "[[[[",
    "{\"a\":{\"a\":",
    " ",
    "\n",
    "4294967296,4294967296"
  };

  @ParameterizedTest
  @ValueSource(
      strings = {
        "safetensors/every_dtype.safetensors",
        "safetensors_malformed/ok_metadata.safetensors",
        "safetensors_malformed/ok_zero_size_between.safetensors",
        "safetensors_malformed/tensor_is_array.safetensors",
        "safetensors_malformed/unknown_field.safetensors"
      })
  void onlyFormatExceptions(String golden) throws IOException {
    byte[] original = Files.readAllBytes(Fixtures.path("goldens/" + golden));
    int refused = 0;
    for (long seed = 0; seed < ROUNDS; seed++) {
      byte[] damaged = damage(original, new Random(seed));
      refused += attack(damaged, golden + ", seed " + seed) ? 1 : 0;
    }
    assertTrue(refused > ROUNDS / 2, "damage mostly shows, but only %d showed".formatted(refused));
  }

  /// Whether it was refused.
  private static boolean attack(byte[] bytes, String what) {
    var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    boolean refused = false;
    try {
      var header = SafetensorsHeader.parse(FILE, 0, MemorySegment.ofArray(bytes));
      header
          .tensors()
          .values()
          .forEach(tensor -> {
            if (tensor.offset() < header.headerSize()
                || tensor.offset() + tensor.byteSize() > bytes.length) {
              fail(what + ": " + tensor + " lies outside the file");
            }
          });
    } catch (FormatException e) {
      refused = true;
      assertTrue(String.valueOf(e.getMessage()).length() < 1200, what + ": " + e.getMessage());
    } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
      fail(what, e);
    }
    long allocated = threads.getCurrentThreadAllocatedBytes() - before;
    assertTrue(allocated < MAX_ALLOCATION, what + ": allocated " + allocated);
    return refused;
  }

  private static byte[] damage(byte[] original, Random random) {
    byte[] bytes = original.clone();
    for (int times = random.nextInt(3); times >= 0; times--) {
      bytes = damageOnce(bytes, random);
    }
    return bytes;
  }

  private static byte[] damageOnce(byte[] bytes, Random random) {
    if (bytes.length == 0) {
      return bytes;
    }
    int headerEnd = Math.min(bytes.length, headerEnd(bytes));
    int at = random.nextInt(headerEnd);
    switch (random.nextInt(6)) {
      case 0 -> {
        return Arrays.copyOf(bytes, random.nextInt(bytes.length));
      }
      case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
      case 2 -> bytes[at] = (byte) random.nextInt(256);
      case 3 -> {
        byte[] splinter =
            SPLINTERS[random.nextInt(SPLINTERS.length)].getBytes(StandardCharsets.UTF_8);
        return spliced(bytes, at, at, splinter);
      }
      case 4 -> {
        int end = at + random.nextInt(Math.min(40, headerEnd - at));
        return spliced(bytes, at, end, new byte[0]);
      }
      default -> {
        int end = at + random.nextInt(Math.min(200, headerEnd - at));
        return spliced(bytes, at, at, Arrays.copyOfRange(bytes, at, end));
      }
    }
    return bytes;
  }

  private static int headerEnd(byte[] bytes) {
    return bytes.length < 8
        ? bytes.length
        : Math.clamp(8 + MemorySegment.ofArray(bytes).get(LittleEndian.LONG, 0), 1, bytes.length);
  }

  /// Replaces a piece, and mends the header's length so that the damage is not caught there.
  private static byte[] spliced(byte[] bytes, int from, int to, byte[] piece) {
    byte[] result = new byte[bytes.length - (to - from) + piece.length];
    System.arraycopy(bytes, 0, result, 0, from);
    System.arraycopy(piece, 0, result, from, piece.length);
    System.arraycopy(bytes, to, result, from + piece.length, bytes.length - to);
    if (from >= 8 && result.length >= 8) {
      var file = MemorySegment.ofArray(result);
      file.set(LittleEndian.LONG, 0, file.get(LittleEndian.LONG, 0) + piece.length - (to - from));
    }
    return result;
  }
}
