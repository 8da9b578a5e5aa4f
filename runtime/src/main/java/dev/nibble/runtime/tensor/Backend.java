package dev.nibble.runtime.tensor;

/// A place where tensors live and are computed. Thread-safe; what it hands out is not, unless it
/// says so. Closed after every {@link Ops} and {@link WeightStore} that it opened.
public interface Backend extends AutoCloseable {
  /// One line for reports: device, cores, instruction set.
  String description();

  /// A new owner of weights.
  ///
  /// @param owner for messages, such as `transformer`
  WeightStore newWeights(String owner);

  /// New operations with memory of their own, for one session: one thread at a time.
  ///
  /// @param owner for messages
  Ops newOps(String owner);

  /// Bytes of memory in the hands of open sessions and weight stores, not counting mapped files.
  long openBytes();

  @Override
  void close();
}
