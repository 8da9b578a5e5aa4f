package dev.nibble.formats;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// Writes one file whose layout is planned: tensor bytes at their places, in any order and from
/// many threads.
///
/// Until {@link #finish()} the file is not complete: fill a temporary file (see {@link
/// dev.nibble.formats.io.PendingOutput}). Threads that write must not be interrupted: Java closes a
/// file channel whose user is interrupted, and every later write fails.
public interface CheckpointWriter extends AutoCloseable {
  /// Writes a piece of a tensor of known size. Each byte of a tensor is to be written once.
  ///
  /// @param offsetInTensor where the piece begins in the tensor
  /// @param bytes the piece, of any length; borrowed
  /// @throws IllegalArgumentException if there is no such tensor, or the piece does not fit in it
  /// @throws IOException if it can't be written; the message names the file
  void write(String tensor, long offsetInTensor, MemorySegment bytes) throws IOException;

  /// Hands over the bytes of a tensor whose length was not known; they are kept until the end.
  ///
  /// @throws IllegalArgumentException if no such tensor is planned, or it is longer than its bound
  /// @throws IllegalStateException if it was handed over before
  void writeLate(String tensor, byte[] bytes);

  /// Writes what is left to write, and makes the file durable.
  ///
  /// @throws IllegalStateException if a tensor is not fully written, or this was called before
  /// @throws IOException if it can't be written; the message names the file
  void finish() throws IOException;

  /// Closes the file; it is complete only after {@link #finish()}.
  @Override
  void close() throws IOException;
}
