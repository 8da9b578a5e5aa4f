package dev.nibble.runtime;

import dev.nibble.runtime.image.RgbImage;

/// A picture that generation starts from.
///
/// @param image of the request's size
/// @param strength how much of it noise replaces: 1 keeps nothing, towards 0 keeps all
public record InitialImage(RgbImage image, double strength) {
  public InitialImage {
    if (!(strength > 0 && strength <= 1)) {
      throw new IllegalArgumentException("strength must be above 0 and at most 1, not " + strength);
    }
  }
}
