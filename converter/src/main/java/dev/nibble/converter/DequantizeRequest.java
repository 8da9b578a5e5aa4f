package dev.nibble.converter;

import dev.nibble.formats.DType;
import java.nio.file.Path;
import java.util.Optional;

/// What to turn back into plain tensors.
///
/// @param source a quantized checkpoint: a file, an index, or a model directory
/// @param dtype F32, BF16 or F16 for all decoded weights; empty: what each had before
/// @param output where to write; empty: beside the source, with `-dequantized` behind its name
/// @param form whether the output is a file or a directory
/// @param force replace an output that exists
/// @param maxShardBytes largest file of a directory
/// @param threads worker threads
/// @param memoryBytes bound on the memory for buffers
public record DequantizeRequest(
    Path source,
    Optional<DType> dtype,
    Optional<Path> output,
    ConversionRequest.OutputForm form,
    boolean force,
    long maxShardBytes,
    int threads,
    long memoryBytes) {}
