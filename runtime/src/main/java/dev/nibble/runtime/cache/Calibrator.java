package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;

/// How a skipped computation is foreseen from computed ones. Immutable; what changes is in its
/// {@link Forecaster}.
public sealed interface Calibrator permits TaylorSeer, FoCa, Dmd {
  /// Begins with one tensor of one run.
  ///
  /// @param session whose memory holds what is remembered
  Forecaster start(Ops session);
}
