package dev.nibble.formats.safetensors;

import dev.nibble.formats.CheckpointWriter;
import dev.nibble.formats.internal.TensorFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

/// Writes a safetensors file whose {@link SafetensorsLayout} is planned, the header last.
public final class SafetensorsWriter implements CheckpointWriter {
  private final TensorFile file;
  private final SafetensorsLayout layout;
  private final Map<String, LateTensor> plannedLate = new HashMap<>();
  private final Map<String, byte[]> late = new ConcurrentHashMap<>();
  private final AtomicBoolean finished = new AtomicBoolean();

  private SafetensorsWriter(TensorFile file, SafetensorsLayout layout) {
    this.file = file;
    this.layout = layout;
    layout.late().forEach(tensor -> plannedLate.put(tensor.name(), tensor));
  }

  /// Creates the file, or empties it. The caller closes.
  ///
  /// @throws IOException if it can't be; the message names the file
  public static SafetensorsWriter create(Path file, SafetensorsLayout layout) throws IOException {
    return create(file, layout, file);
  }

  /// As {@link #create(Path, SafetensorsLayout)}, with another name for the file in messages: the
  /// one it will have once it is complete.
  public static SafetensorsWriter create(Path file, SafetensorsLayout layout, Path shown)
      throws IOException {
    return new SafetensorsWriter(TensorFile.create(file, layout.tensors(), shown), layout);
  }

  @Override
  public void write(String tensor, long offsetInTensor, MemorySegment bytes) throws IOException {
    file.write(tensor, offsetInTensor, bytes);
  }

  @Override
  public void writeLate(String tensor, byte[] bytes) {
    LateTensor planned = plannedLate.get(tensor);
    if (planned == null) {
      throw new IllegalArgumentException("no late tensor '" + tensor + "' planned");
    }
    if (bytes.length > planned.maxBytes()) {
      throw new IllegalArgumentException(
          "late tensor '%s' has %d bytes, planned were at most %d"
              .formatted(tensor, bytes.length, planned.maxBytes()));
    }
    if (late.putIfAbsent(tensor, bytes.clone()) != null) {
      throw new IllegalStateException("late tensor '" + tensor + "' was written before");
    }
  }

  /// Writes the late tensors and the header, and makes the file durable.
  @Override
  public void finish() throws IOException {
    layout.late().forEach(this::lateBytes);
    file.requireComplete();
    if (finished.getAndSet(true)) {
      throw new IllegalStateException("finished before");
    }
    List<Integer> lengths = new ArrayList<>();
    long position = layout.lateOffset();
    for (LateTensor tensor : layout.late()) {
      byte[] bytes = lateBytes(tensor);
      file.writeAt(position, MemorySegment.ofArray(bytes));
      position += bytes.length;
      lengths.add(bytes.length);
    }
    file.writeAt(0, MemorySegment.ofArray(layout.header(lengths)));
    file.force();
  }

  private byte[] lateBytes(LateTensor tensor) {
    byte[] bytes = late.get(tensor.name());
    if (bytes == null) {
      throw new IllegalStateException("late tensor '" + tensor.name() + "' was not written");
    }
    return bytes;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
