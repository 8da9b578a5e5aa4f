package dev.nibble.runtime;

import dev.nibble.runtime.image.RgbImage;
import java.util.SequencedMap;

/// One picture of a generation.
///
/// @param image the pixels
/// @param index among the pictures of the request
/// @param latents what the picture was decoded from
/// @param parameters all that is needed to draw it again, by name, as PNG metadata and reports
///   carry them: prompt, seed, steps, guidance, size, cache, model
public record GeneratedImage(
    RgbImage image, int index, Latents latents, SequencedMap<String, String> parameters) {}
