package dev.nibble.runtime.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class KernelArgumentsTest {
  private static MemorySegment value(KernelArguments arguments, int index, long bytes) {
    MemorySegment pointer = arguments.pointers().getAtIndex(ValueLayout.ADDRESS, index);
    return arguments.slots().asSlice(pointer.address() - arguments.slots().address(), bytes);
  }

  @Test
  void pointersLeadToValues() {
    try (Arena arena = Arena.ofConfined()) {
      KernelArguments arguments = new KernelArguments(arena);
      arguments.clear().address(0x7f0000000100L).i32(-7).f32(1e-6f).i64(1L << 40);
      assertEquals(4, arguments.count());
      assertEquals(0x7f0000000100L, value(arguments, 0, 8).get(ValueLayout.JAVA_LONG, 0));
      assertEquals(-7, value(arguments, 1, 4).get(ValueLayout.JAVA_INT, 0));
      assertEquals(1e-6f, value(arguments, 2, 4).get(ValueLayout.JAVA_FLOAT, 0));
      assertEquals(1L << 40, value(arguments, 3, 8).get(ValueLayout.JAVA_LONG, 0));
      assertTrue(arguments.fits(new int[] {8, 4, 4, 8}));
      assertFalse(arguments.fits(new int[] {8, 4, 8, 4}));
      assertFalse(arguments.fits(new int[] {8, 4, 4}));
      assertEquals("[8, 4, 4, 8]", arguments.describe());
    }
  }

  @Test
  void clearedBlockIsWrittenAgain() {
    try (Arena arena = Arena.ofConfined()) {
      KernelArguments arguments = new KernelArguments(arena);
      arguments.clear().i64(1).i64(2);
      arguments.clear().i32(3);
      assertEquals(1, arguments.count());
      assertEquals(3, value(arguments, 0, 4).get(ValueLayout.JAVA_INT, 0));
    }
  }

  @Test
  void structsLieAlignedForTensorMaps() {
    try (Arena arena = Arena.ofConfined()) {
      KernelArguments arguments = new KernelArguments(arena);
      MemorySegment map = arena.allocate(128).fill((byte) 5);
      arguments.clear().i32(1).struct(map);
      MemorySegment stored = value(arguments, 1, 128);
      assertEquals(0, stored.address() % 64);
      assertEquals(-1, stored.mismatch(map));
      assertThrows(IllegalArgumentException.class, () -> arguments.struct(arena.allocate(129)));
    }
  }

  @Test
  void tooManyAreRefused() {
    try (Arena arena = Arena.ofConfined()) {
      KernelArguments arguments = new KernelArguments(arena);
      for (int i = 0; i < KernelArguments.CAPACITY; i++) {
        arguments.i32(i);
      }
      assertThrows(IllegalArgumentException.class, () -> arguments.i32(0));
    }
  }
}
