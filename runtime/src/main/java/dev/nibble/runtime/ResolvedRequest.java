package dev.nibble.runtime;

import dev.nibble.runtime.image.RgbImage;
import dev.nibble.runtime.models.GuidanceOptions;
import java.util.Optional;

/// A request with every default filled in and its size checked.
///
/// @param request as it was given
/// @param steps denoising steps
/// @param guidance strength and limits of guidance
/// @param guided whether there is a second prediction at all
/// @param width in pixels
/// @param height in pixels
record ResolvedRequest(
    GenerationRequest request,
    int steps,
    GuidanceOptions guidance,
    boolean guided,
    int width,
    int height) {
  /// Fills in the defaults; a picture to start from gives the size where the request names none.
  ///
  /// @throws IllegalArgumentException if the size can't be drawn
  static ResolvedRequest of(GenerationRequest request, LoadedPipeline pipeline) {
    GenerationDefaults defaults = pipeline.defaults();
    Optional<RgbImage> initial = request.initial().map(InitialImage::image);
    int width = request.width().orElse(initial.map(RgbImage::width).orElse(defaults.width()));
    int height = request.height().orElse(initial.map(RgbImage::height).orElse(defaults.height()));
    initial.ifPresent(image -> checkSize(image, width, height));
    int multiple = pipeline.sizeMultiple();
    if (width % multiple != 0 || height % multiple != 0) {
      throw new IllegalArgumentException(
          "size %dx%d: width and height must be multiples of %d, such as %dx%d"
              .formatted(
                  width, height, multiple, nearest(width, multiple), nearest(height, multiple)));
    }
    double scale = request.guidance().orElse(defaults.guidance());
    return new ResolvedRequest(
        request,
        request.steps().orElse(defaults.steps()),
        new GuidanceOptions(scale, request.guidanceNormalization(), request.guidanceTruncation()),
        pipeline.denoiser().guidance().active(scale),
        width,
        height);
  }

  private static void checkSize(RgbImage initial, int width, int height) {
    if (initial.width() != width || initial.height() != height) {
      throw new IllegalArgumentException(
          "the picture to start from is %dx%d but the size asked for %dx%d: scale it first"
              .formatted(initial.width(), initial.height(), width, height));
    }
  }

  private static int nearest(int size, int multiple) {
    return Math.max(multiple, (size + multiple / 2) / multiple * multiple);
  }
}
