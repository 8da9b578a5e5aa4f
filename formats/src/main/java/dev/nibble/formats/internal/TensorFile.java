package dev.nibble.formats.internal;

import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/// A file being filled with tensors at known places, by many threads; counts what is written.
public final class TensorFile implements AutoCloseable {
  /// Largest piece handed to the operating system at once; it takes less than 2 GiB.
  private static final long MAX_PIECE = 64L << 20;

  /// Pieces from the Java heap are copied once more by the JDK, into memory that it keeps.
  private static final int MAX_HEAP_PIECE = 1 << 20;

  private final Path shown;
  private final FileChannel channel;
  private final Map<String, TensorInfo> tensors;
  private final Map<String, AtomicLong> written = new LinkedHashMap<>();

  private TensorFile(Path shown, FileChannel channel, Map<String, TensorInfo> tensors) {
    this.shown = shown;
    this.channel = channel;
    this.tensors = tensors;
    tensors.keySet().forEach(name -> written.put(name, new AtomicLong()));
  }

  /// Creates the file, or empties it. The caller closes.
  ///
  /// @param tensors with offsets from the start of the file
  /// @param shown its name in messages: the one it will have once it is complete
  /// @throws IOException if it can't be; the message names the file
  public static TensorFile create(Path file, Map<String, TensorInfo> tensors, Path shown)
      throws IOException {
    try {
      FileChannel channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE);
      return new TensorFile(shown, channel, tensors);
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
  }

  /// Writes a piece of a tensor.
  ///
  /// @throws IllegalArgumentException if there is no such tensor, or the piece does not fit in it
  public void write(String tensor, long offsetInTensor, MemorySegment bytes) throws IOException {
    TensorInfo info = tensors.get(tensor);
    AtomicLong counter = written.get(tensor);
    if (info == null || counter == null) {
      throw new IllegalArgumentException("no tensor '" + tensor + "' in the layout");
    }
    long size = bytes.byteSize();
    if (offsetInTensor < 0 || size < 0 || offsetInTensor > info.byteSize() - size) {
      throw new IllegalArgumentException(
          "tensor '%s' has %d bytes: no room for %d at %d"
              .formatted(tensor, info.byteSize(), size, offsetInTensor));
    }
    writeAt(info.offset() + offsetInTensor, bytes);
    counter.addAndGet(size);
  }

  /// Writes bytes that belong to no tensor.
  public void writeAt(long position, MemorySegment bytes) throws IOException {
    try {
      long done = 0;
      while (done < bytes.byteSize()) {
        ByteBuffer piece = piece(bytes, done);
        while (piece.hasRemaining()) {
          done += channel.write(piece, position + done);
        }
      }
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
  }

  private static ByteBuffer piece(MemorySegment bytes, long from) {
    long rest = bytes.byteSize() - from;
    if (bytes.isNative()) {
      return bytes.asSlice(from, Math.min(rest, MAX_PIECE)).asByteBuffer();
    }
    MemorySegment slice = bytes.asSlice(from, Math.min(rest, MAX_HEAP_PIECE));
    if (bytes.heapBase().filter(byte[].class::isInstance).isPresent()) {
      return slice.asByteBuffer();
    }
    // Arrays of other types (and read-only views, which hide theirs) have no byte buffer.
    byte[] copy = new byte[(int) slice.byteSize()];
    MemorySegment.ofArray(copy).copyFrom(slice);
    return ByteBuffer.wrap(copy);
  }

  /// @throws IllegalStateException if a tensor is not fully written
  public void requireComplete() {
    for (Map.Entry<String, AtomicLong> entry : written.entrySet()) {
      TensorInfo tensor = tensors.get(entry.getKey());
      long count = entry.getValue().get();
      if (tensor != null && count != tensor.byteSize()) {
        throw new IllegalStateException(
            "tensor '%s' has %d bytes, %d were written"
                .formatted(tensor.name(), tensor.byteSize(), count));
      }
    }
  }

  /// Makes all of it durable.
  public void force() throws IOException {
    try {
      channel.force(true);
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close();
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
  }
}
