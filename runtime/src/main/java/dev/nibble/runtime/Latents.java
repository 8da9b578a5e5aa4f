package dev.nibble.runtime;

import dev.nibble.formats.Shape;

/// Latents of a picture, float32. Immutable.
public final class Latents {
  private final Shape shape;
  private final float[] values;

  /// @param shape `[1, C, h, w]`
  /// @param values row-major; copied
  public Latents(Shape shape, float[] values) {
    if (shape.elements() != values.length) {
      throw new IllegalArgumentException(values.length + " values for latents of " + shape);
    }
    this.shape = shape;
    this.values = values.clone();
  }

  /// `[1, C, h, w]`.
  public Shape shape() {
    return shape;
  }

  /// The numbers, row-major, in a new array.
  public float[] values() {
    return values.clone();
  }
}
