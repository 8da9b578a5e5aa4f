package dev.nibble.runtime;

/// Told of the progress of a generation, on the thread that generates.
@FunctionalInterface
public interface StepListener {
  /// Hears nothing.
  StepListener NONE = _ -> {};

  /// A step is done.
  void step(Progress progress);

  /// How far a generation is.
  ///
  /// @param image index of the picture, from 0
  /// @param images pictures of the request
  /// @param step index of the step that is done, from 0
  /// @param steps steps of a picture
  /// @param computed calls of the transformer in this step that computed every block; reused ones
  ///   are the rest
  /// @param calls calls of the transformer in this step
  record Progress(int image, int images, int step, int steps, int computed, int calls) {}
}
