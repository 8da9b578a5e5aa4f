package dev.nibble.converter;

/// Hears how far a conversion is. Called from worker threads, one call at a time, often: return
/// fast.
@FunctionalInterface
public interface ProgressListener {
  /// The stages of a conversion, in order.
  enum Stage {
    /// Hashing the source, where that was asked for.
    HASHING,
    /// Reading, quantizing and writing tensors.
    CONVERTING,
    /// Headers written; forcing the files to disk and moving them to their names.
    COMMITTING,
    /// The output stands under its name.
    DONE
  }

  /// @param tensor name of the tensor that was worked on last
  /// @param doneBytes source bytes done
  /// @param totalBytes source bytes in all
  void progress(String tensor, long doneBytes, long totalBytes);

  /// An input scale is being searched, before {@link Stage#CONVERTING}.
  ///
  /// @param module the first of the layers that will share it
  /// @param done scales that are found
  default void scale(String module, int done, int total) {}

  /// A stage begins.
  default void stage(Stage stage) {}

  /// Hears nothing.
  static ProgressListener none() {
    return (tensor, doneBytes, totalBytes) -> {};
  }
}
