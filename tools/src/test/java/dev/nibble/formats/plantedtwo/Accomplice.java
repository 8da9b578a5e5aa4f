package dev.nibble.formats.plantedtwo;

import dev.nibble.formats.plantedone.Offender;

/// Closes a circle with {@link Offender}.
public final class Accomplice {
  public int closeCircle() {
    return Offender.usesVectors();
  }
}
