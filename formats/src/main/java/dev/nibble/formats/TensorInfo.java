package dev.nibble.formats;

/// One tensor of a checkpoint, as its header describes it (validated: the range lies in the file
/// and has the size that dtype and shape give).
///
/// @param name its full name, for example `transformer_blocks.0.attn.to_q.weight`
/// @param dtype element type
/// @param shape dimensions, row-major
/// @param file index of the file in {@link Checkpoint#files()} that holds it
/// @param offset first byte, from the start of that file
/// @param byteSize size in bytes
public record TensorInfo(
    String name, DType dtype, Shape shape, int file, long offset, long byteSize) {}
