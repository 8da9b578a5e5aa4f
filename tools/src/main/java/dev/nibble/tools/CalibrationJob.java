package dev.nibble.tools;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// What `calibrate` was asked for, whatever it measures.
///
/// @param directory the pipeline
/// @param prompts file of prompts
/// @param texts the prompts in it
/// @param steps denoising steps, if not the pipeline's
/// @param guidance strength of guidance, if not the pipeline's
/// @param seed of the first prompt's noise
/// @param size of the pictures, if not the pipeline's
/// @param output to write
/// @param quiet print nothing but errors
/// @param json print the result as JSON
record CalibrationJob(
    Path directory,
    Path prompts,
    List<String> texts,
    Optional<Integer> steps,
    Optional<Double> guidance,
    long seed,
    Optional<PictureSize> size,
    Path output,
    boolean quiet,
    boolean json) {}
