package dev.nibble.converter;

import dev.nibble.converter.algorithm.GptqOptions;
import java.util.Optional;

/// How the statistics of its layer's input decide a weight.
///
/// @param module the layer, as the statistics know it
/// @param gptq choose the codes by GPTQ; empty: round to nearest
public record Calibrated(String module, Optional<GptqOptions> gptq) {}
