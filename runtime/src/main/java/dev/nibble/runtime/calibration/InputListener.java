package dev.nibble.runtime.calibration;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;

/// Is shown what the linear layers of a component are given.
interface InputListener {
  /// A layer is about to run.
  ///
  /// @param x its input, borrowed for the time of the call
  /// @param session of the backend, which computes it
  void see(NamedWeight weight, Tensor x, Ops session);

  /// The backend closes.
  void close();
}
