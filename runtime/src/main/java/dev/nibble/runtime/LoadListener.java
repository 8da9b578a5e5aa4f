package dev.nibble.runtime;

/// Told how far the loading of a pipeline is, on the thread that loads.
@FunctionalInterface
public interface LoadListener {
  /// Hears nothing.
  LoadListener NONE = (_, _, _) -> {};

  /// A weight was handed to the device; on the processor weights stay in their mapped files, so
  /// this takes no time there.
  ///
  /// @param component such as `transformer`
  /// @param doneBytes of the weights of all components so far, as they are stored
  /// @param totalBytes of all that the components' files hold, a little of which no model uses
  void loaded(String component, long doneBytes, long totalBytes);
}
