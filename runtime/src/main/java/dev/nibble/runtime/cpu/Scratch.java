package dev.nibble.runtime.cpu;

import dev.nibble.formats.quant.DecodeScratch;

/// Working arrays of one thread, each for one purpose, that grow to what was needed most.
final class Scratch {
  final DecodeScratch decode = new DecodeScratch();
  final Floats weights = new Floats();
  final Floats sums = new Floats();
  final Floats panels = new Floats();
  final Floats scores = new Floats();
  final Floats values = new Floats();
  final Floats state = new Floats();

  /// One array.
  static final class Floats {
    private float[] array = new float[0];

    /// At least that many elements, with leftovers in them.
    float[] get(int size) {
      if (array.length < size) {
        array = new float[size];
      }
      return array;
    }
  }
}
