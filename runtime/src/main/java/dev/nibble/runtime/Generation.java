package dev.nibble.runtime;

import java.util.List;

/// What a request gave.
///
/// @param images in order of index
/// @param report what it took
public record Generation(List<GeneratedImage> images, RuntimeReport report) {
  public Generation {
    images = List.copyOf(images);
  }
}
