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

  /// Mean of the squared differences to other latents: 0 for equal ones. Latents have a variance of
  /// about 1, so it reads as a share of that.
  ///
  /// @throws IllegalArgumentException if the shapes differ
  public double meanSquaredError(Latents other) {
    if (!shape.equals(other.shape)) {
      throw new IllegalArgumentException(
          "latents %s and %s have nothing to compare".formatted(shape, other.shape));
    }
    double sum = 0;
    for (int i = 0; i < values.length; i++) {
      double difference = (double) values[i] - other.values[i];
      sum += difference * difference;
    }
    return sum / values.length;
  }
}
