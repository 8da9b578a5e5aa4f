package dev.nibble.formats.plantedone;

import dev.nibble.converter.Cancellation;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.plantedtwo.Accomplice;
import jdk.incubator.vector.FloatVector;

/// Breaks the rules of {@link dev.nibble.tools.ArchitectureTest}, which must notice.
public final class Offender {
  private Offender() {}

  public static boolean knowsConverter(Cancellation cancellation) {
    return cancellation.isCancelled();
  }

  public static int usesVectors() {
    return FloatVector.SPECIES_PREFERRED.length();
  }

  public static void prints() {
    System.out.println();
  }

  public static Accomplice goesInCircles() {
    return new Accomplice();
  }

  public static void leaks(FloatReader reader) {
    reader.read(java.lang.foreign.MemorySegment.NULL, 0, new float[0], 0);
  }
}
