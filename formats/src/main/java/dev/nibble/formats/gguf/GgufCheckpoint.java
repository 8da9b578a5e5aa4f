package dev.nibble.formats.gguf;

import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.internal.MappedFile;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.formats.quant.storage.SelfDescribing;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.atomic.AtomicBoolean;

/// A GGUF file, mapped. Opening reads the header; data is read when it is touched.
///
/// {@link #tensors()} shows the bytes as they lie: a quantized tensor is U8, with the bytes of a
/// row as its last dimension. What they mean, {@link #header()} says.
public final class GgufCheckpoint implements SelfDescribing {
  private final MappedFile mapped;
  private final GgufHeader header;
  private final CheckpointFile file;
  private final Map<String, TensorInfo> tensors;
  private final Map<String, String> metadata;
  private final AtomicBoolean closed = new AtomicBoolean();

  private GgufCheckpoint(MappedFile mapped, GgufHeader header) {
    this.mapped = mapped;
    this.header = header;
    this.file = new CheckpointFile(mapped.path(), mapped.bytes().byteSize(), header.size());
    Map<String, TensorInfo> infos = LinkedHashMap.newLinkedHashMap(header.tensors().size());
    header
        .tensors()
        .forEach(
            (name, tensor) -> infos.put(name, tensor.stored(header.shape(mapped.path(), tensor))));
    this.tensors = Collections.unmodifiableMap(infos);
    Map<String, String> texts = new LinkedHashMap<>();
    header.metadata().forEach((key, value) -> texts.put(key, value.text()));
    this.metadata = Collections.unmodifiableMap(texts);
  }

  /// Opens a GGUF file. The caller closes.
  ///
  /// @throws FormatException if it breaks the format
  /// @throws UnsupportedException if it asks for what nibble can't read, see {@link
  ///   GgufHeader#parse}
  /// @throws IOException if it is missing or can't be read; its message names the file
  public static GgufCheckpoint open(Path path) throws IOException {
    MappedFile mapped = MappedFile.open(path);
    try {
      return new GgufCheckpoint(mapped, GgufHeader.parse(path, mapped.bytes()));
    } catch (Throwable e) {
      mapped.close();
      throw e;
    }
  }

  public GgufHeader header() {
    return header;
  }

  public Path path() {
    return mapped.path();
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  /// @throws IllegalArgumentException if the tensor is not of this checkpoint
  /// @throws IllegalStateException if it is closed
  @Override
  public MemorySegment data(TensorInfo tensor) {
    if (!tensor.equals(tensors.get(tensor.name()))) {
      throw new IllegalArgumentException(tensor + " is not of this checkpoint");
    }
    requireOpen();
    return mapped.bytes().asSlice(tensor.offset(), tensor.byteSize());
  }

  /// @throws IllegalArgumentException if the file is not of this checkpoint
  /// @throws IllegalStateException if it is closed
  @Override
  public MemorySegment bytes(CheckpointFile wanted) {
    if (!file.equals(wanted)) {
      throw new IllegalArgumentException(wanted.path() + " is not of this checkpoint");
    }
    requireOpen();
    return mapped.bytes();
  }

  private void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("the checkpoint is closed");
    }
  }

  @Override
  public SequencedMap<String, LogicalTensor> logicalTensors() {
    return GgufWeights.read(this);
  }

  @Override
  public Optional<String> quantizedBy() {
    return GgufWeights.origin(this);
  }

  /// Every value as text; long arrays are cut.
  @Override
  public Map<String, String> metadata() {
    return metadata;
  }

  @Override
  public List<CheckpointFile> files() {
    return List.of(file);
  }

  @Override
  public void close() {
    if (!closed.getAndSet(true)) {
      mapped.close();
    }
  }
}
