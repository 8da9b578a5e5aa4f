package dev.nibble.tools;

import dev.nibble.converter.Cancellation;

/// The wish that a command ends soon, in the form that each library takes it.
///
/// @param conversion for the converter
/// @param generation for the runtime
record Interruption(Cancellation conversion, dev.nibble.runtime.Cancellation generation) {
  /// Nobody wishes so yet.
  Interruption() {
    this(new Cancellation(), new dev.nibble.runtime.Cancellation());
  }

  /// Whatever runs shall end.
  void begin() {
    conversion.cancel();
    generation.cancel();
  }
}
