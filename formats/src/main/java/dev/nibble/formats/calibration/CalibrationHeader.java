package dev.nibble.formats.calibration;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/// What statistics are of and how they came about: the metadata of their file.
///
/// @param component of a pipeline, such as `transformer`
/// @param config the component's configuration, as {@link CanonicalConfig} writes it
/// @param layers every layer by its module path, in the order in which the model runs them
/// @param prompts pictures that were drawn
/// @param steps denoising steps of each
/// @param seed of the first prompt's noise
/// @param guidance strength of guidance
/// @param tool what recorded them, such as `nibble 0.1.0`
public record CalibrationHeader(
    String component,
    String config,
    SequencedMap<String, CalibratedLayer> layers,
    int prompts,
    int steps,
    long seed,
    double guidance,
    String tool) {
  public CalibrationHeader {
    layers = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(layers));
  }
}
