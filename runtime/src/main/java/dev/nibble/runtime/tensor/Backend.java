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
  /// @param attention how {@link Ops#attention} is computed; where this backend has no such
  ///   implementation, {@link AttentionBackend#NATIVE} takes its place and the log says so once
  Ops newOps(String owner, AttentionBackend attention);

  /// {@link #newOps(String, AttentionBackend)} with the default attention.
  default Ops newOps(String owner) {
    return newOps(owner, AttentionBackend.NATIVE);
  }

  /// Bytes of memory in the hands of open sessions and weight stores, not counting mapped files.
  long openBytes();

  /// Bytes of memory that further sessions may take at this moment, about.
  long freeBytes();

  @Override
  void close();
}
