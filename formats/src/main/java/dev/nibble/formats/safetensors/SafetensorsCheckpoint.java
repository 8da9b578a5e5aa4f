package dev.nibble.formats.safetensors;

import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.FileKind;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.MappedFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/// Safetensors files, mapped. Opening reads the headers; data is read when it is touched.
///
/// A file that another process truncates while it is open makes accesses fail with an {@link
/// InternalError}: that is how the JVM reports a page that is gone.
public final class SafetensorsCheckpoint implements Checkpoint {
  private final List<MappedFile> mapped;
  private final List<CheckpointFile> files;
  private final Map<String, TensorInfo> tensors;
  private final Map<String, String> metadata;
  private final AtomicBoolean closed = new AtomicBoolean();

  private SafetensorsCheckpoint(
      List<MappedFile> mapped,
      List<CheckpointFile> files,
      Map<String, TensorInfo> tensors,
      Map<String, String> metadata) {
    this.mapped = mapped;
    this.files = List.copyOf(files);
    this.tensors = Collections.unmodifiableMap(tensors);
    this.metadata = Collections.unmodifiableMap(metadata);
  }

  /// Opens a safetensors file, or the index of a sharded checkpoint with all its shards; which of
  /// them it is, the content tells. The caller closes.
  ///
  /// @throws FormatException if a file breaks the format, or the index and the shards disagree
  /// @throws IOException if a file is missing or can't be read; its message names the file
  public static SafetensorsCheckpoint open(Path path) throws IOException {
    MappedFile file = MappedFile.open(path);
    if (FileKind.of(file.bytes()) == FileKind.JSON) {
      file.close();
      return open(path, ShardIndex.read(path));
    }
    return read(new ArrayList<>(List.of(file)), Optional.empty());
  }

  /// Opens several files as one checkpoint, in this order. The caller closes.
  ///
  /// @throws FormatException if a file breaks the format, or two hold a tensor of the same name
  /// @throws IOException if a file is missing or can't be read; its message names the file
  public static SafetensorsCheckpoint open(List<Path> paths) throws IOException {
    return read(mapAll(paths), Optional.empty());
  }

  private static SafetensorsCheckpoint open(Path indexPath, ShardIndex index) throws IOException {
    List<Path> paths = new ArrayList<>();
    for (String shard : index.files()) {
      Path path = indexPath.resolveSibling(shard);
      if (!Files.exists(path)) {
        throw new IOException(
            path
                + ": no such file, but "
                + indexPath.getFileName()
                + " needs it: fetch this shard");
      }
      paths.add(path);
    }
    return read(mapAll(paths), Optional.of(new ShardCheck(indexPath, index)));
  }

  private static List<MappedFile> mapAll(List<Path> paths) throws IOException {
    List<MappedFile> mapped = new ArrayList<>();
    try {
      for (Path path : paths) {
        mapped.add(MappedFile.open(path));
      }
      return mapped;
    } catch (IOException | RuntimeException e) {
      mapped.forEach(MappedFile::close);
      throw e;
    }
  }

  /// Takes the files, and closes them if it fails.
  private static SafetensorsCheckpoint read(List<MappedFile> mapped, Optional<ShardCheck> check) {
    try {
      List<CheckpointFile> files = new ArrayList<>();
      Map<String, TensorInfo> tensors = new LinkedHashMap<>();
      Map<String, String> metadata = new LinkedHashMap<>();
      for (MappedFile file : mapped) {
        var header = SafetensorsHeader.parse(file.path(), files.size(), file.bytes());
        check.ifPresent(shards -> shards.requireSame(file.path(), header));
        for (TensorInfo tensor : header.tensors().values()) {
          TensorInfo other = tensors.putIfAbsent(tensor.name(), tensor);
          if (other != null) {
            throw new FormatException(
                Where.in(file.path()).tensor(tensor.name()).at(tensor.offset()),
                "each tensor in one file",
                "it also in " + mapped.get(other.file()).path());
          }
        }
        header.metadata().forEach(metadata::putIfAbsent);
        files.add(new CheckpointFile(file.path(), file.bytes().byteSize(), header.headerSize()));
      }
      return new SafetensorsCheckpoint(mapped, files, tensors, metadata);
    } catch (RuntimeException e) {
      mapped.forEach(MappedFile::close);
      throw e;
    }
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  /// @throws IllegalArgumentException if the tensor is not of this checkpoint
  /// @throws IllegalStateException if it is closed
  @Override
  public MemorySegment data(TensorInfo tensor) {
    TensorInfo known = tensors.get(tensor.name());
    if (!tensor.equals(known)) {
      throw new IllegalArgumentException(tensor + " is not of this checkpoint");
    }
    requireOpen();
    return mapped.get(tensor.file()).bytes().asSlice(tensor.offset(), tensor.byteSize());
  }

  /// @throws IllegalArgumentException if the file is not of this checkpoint
  /// @throws IllegalStateException if it is closed
  @Override
  public MemorySegment bytes(CheckpointFile file) {
    int index = files.indexOf(file);
    if (index < 0) {
      throw new IllegalArgumentException(file.path() + " is not of this checkpoint");
    }
    requireOpen();
    return mapped.get(index).bytes();
  }

  private void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("the checkpoint is closed");
    }
  }

  @Override
  public Map<String, String> metadata() {
    return metadata;
  }

  @Override
  public List<CheckpointFile> files() {
    return files;
  }

  @Override
  public void close() {
    if (!closed.getAndSet(true)) {
      mapped.forEach(MappedFile::close);
    }
  }
}
