package dev.nibble.formats;

import java.nio.file.Path;

/// One file of a checkpoint.
///
/// @param path where it was opened
/// @param size its size in bytes
/// @param headerSize bytes before the tensor data: what a hash of "the header" covers
public record CheckpointFile(Path path, long size, long headerSize) {}
