package dev.nibble.formats;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/// An open checkpoint: one file, or the shards of one model. Owns its mapped memory: every segment
/// it returned dies with {@link #close()}, and a later access fails. Safe for use by many threads.
public interface Checkpoint extends AutoCloseable {
  /// Every tensor by name, in the order in which the data lies in the files.
  Map<String, TensorInfo> tensors();

  /// The bytes of one tensor: a read-only view of the mapped file, not a copy; little-endian.
  MemorySegment data(TensorInfo tensor);

  /// The bytes of a whole file, header included: read-only, mapped.
  MemorySegment bytes(CheckpointFile file);

  /// The string metadata of the files (of shards: the union, the first file's value winning).
  Map<String, String> metadata();

  /// The files, in shard order; {@link TensorInfo#file()} indexes this list.
  List<CheckpointFile> files();

  @Override
  void close();
}
