package dev.nibble.formats.gguf;

import dev.nibble.formats.CheckpointWriter;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.TensorFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;

/// Writes a GGUF file whose {@link GgufLayout} is planned, the header first.
public final class GgufWriter implements CheckpointWriter {
  private final TensorFile file;
  private final GgufLayout layout;
  private final AtomicBoolean finished = new AtomicBoolean();

  private GgufWriter(TensorFile file, GgufLayout layout) {
    this.file = file;
    this.layout = layout;
  }

  /// Creates the file, or empties it, and writes the header. The caller closes.
  ///
  /// @param shown its name in messages: the one it will have once it is complete
  /// @throws IOException if it can't be; the message names the file
  public static GgufWriter create(Path path, GgufLayout layout, Path shown) throws IOException {
    TensorFile file = TensorFile.create(path, layout.tensors(), shown);
    try {
      file.writeAt(0, MemorySegment.ofArray(layout.header()));
      return new GgufWriter(file, layout);
    } catch (Throwable e) {
      file.close();
      throw e;
    }
  }

  @Override
  public void write(String tensor, long offsetInTensor, MemorySegment bytes) throws IOException {
    file.write(tensor, offsetInTensor, bytes);
  }

  /// @throws IllegalArgumentException always: every size is known beforehand
  @Override
  public void writeLate(String tensor, byte[] bytes) {
    throw new IllegalArgumentException("no late tensor '" + tensor + "' planned");
  }

  /// Pads the last tensor, and makes the file durable. Gaps before it are holes, which read as
  /// zeros.
  @Override
  public void finish() throws IOException {
    file.requireComplete();
    if (finished.getAndSet(true)) {
      throw new IllegalStateException("finished before");
    }
    long end =
        layout.tensors().values().stream()
            .mapToLong((TensorInfo tensor) -> tensor.offset() + tensor.byteSize())
            .max()
            .orElse(layout.header().length);
    file.writeAt(end, MemorySegment.ofArray(new byte[(int) (layout.fileSize() - end)]));
    file.force();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
