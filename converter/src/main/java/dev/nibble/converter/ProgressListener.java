package dev.nibble.converter;

/// Hears how far a conversion is. Called from worker threads, one call at a time, often: return
/// fast.
@FunctionalInterface
public interface ProgressListener {
  /// @param tensor name of the tensor that was worked on last
  /// @param doneBytes source bytes done
  /// @param totalBytes source bytes in all
  void progress(String tensor, long doneBytes, long totalBytes);

  /// Hears nothing.
  static ProgressListener none() {
    return (tensor, doneBytes, totalBytes) -> {};
  }
}
