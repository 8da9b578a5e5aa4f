package dev.nibble.tools;

import java.nio.file.Path;
import java.util.List;

/// What `calibrate` was asked for, whatever it measures.
///
/// @param directory the pipeline
/// @param pictures what to draw, and how
/// @param texts the prompts
/// @param output to write
/// @param quiet print nothing but errors
/// @param json print the result as JSON
record CalibrationJob(
    Path directory,
    PictureOptions pictures,
    List<String> texts,
    Path output,
    boolean quiet,
    boolean json) {}
