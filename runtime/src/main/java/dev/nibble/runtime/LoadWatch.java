package dev.nibble.runtime;

import dev.nibble.runtime.weights.ComponentWeights;
import java.util.List;

/// Counts what of a pipeline is loaded, and ends the loading when that is wished.
final class LoadWatch {
  private final LoadListener listener;
  private final Cancellation cancellation;
  private long doneBytes;
  private long totalBytes;

  LoadWatch(LoadListener listener, Cancellation cancellation) {
    this.listener = listener;
    this.cancellation = cancellation;
  }

  /// Watches the weights of all components, before the first is loaded.
  ///
  /// @param names of the components, in the same order
  void watch(List<String> names, List<ComponentWeights> all) {
    for (int i = 0; i < all.size(); i++) {
      String name = names.get(i);
      totalBytes += all.get(i).storedBytes();
      all.get(i).onLoad(bytes -> loaded(name, bytes));
    }
  }

  private void loaded(String component, long bytes) {
    if (cancellation.isCancelled() || Thread.currentThread().isInterrupted()) {
      throw GenerationCancelledException.loading();
    }
    doneBytes += bytes;
    listener.loaded(component, doneBytes, totalBytes);
  }
}
