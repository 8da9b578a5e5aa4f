package dev.nibble.formats.safetensors;

import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// Writes a safetensors file whose {@link SafetensorsLayout} is planned: tensor bytes at their
/// places in any order and from many threads, the header last.
///
/// Until {@link #finish()} the file is not readable: fill a temporary file (see {@link
/// dev.nibble.formats.io.PendingOutput}). Threads that write must not be interrupted: Java closes a
/// file channel whose user is interrupted, and every later write fails.
public final class SafetensorsWriter implements AutoCloseable {
  /// Largest piece handed to the operating system at once; it takes less than 2 GiB.
  private static final long MAX_PIECE = 64L << 20;

  /// Pieces from the Java heap are copied once more by the JDK, into memory that it keeps.
  private static final int MAX_HEAP_PIECE = 1 << 20;

  private final Path shown;
  private final SafetensorsLayout layout;
  private final FileChannel channel;
  private final Map<String, AtomicLong> written = new LinkedHashMap<>();
  private final Map<String, LateTensor> plannedLate = new HashMap<>();
  private final Map<String, byte[]> late = new ConcurrentHashMap<>();
  private final AtomicBoolean finished = new AtomicBoolean();

  private SafetensorsWriter(Path shown, SafetensorsLayout layout, FileChannel channel) {
    this.shown = shown;
    this.layout = layout;
    this.channel = channel;
    layout.tensors().keySet().forEach(name -> written.put(name, new AtomicLong()));
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
    try {
      FileChannel channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE);
      return new SafetensorsWriter(shown, layout, channel);
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
  }

  /// Writes a piece of a tensor of known size. Each byte of a tensor is to be written once.
  ///
  /// @param offsetInTensor where the piece begins in the tensor
  /// @param bytes the piece, of any length; borrowed
  /// @throws IllegalArgumentException if there is no such tensor, or the piece does not fit in it
  /// @throws IOException if it can't be written; the message names the file
  public void write(String tensor, long offsetInTensor, MemorySegment bytes) throws IOException {
    long position = position(tensor, offsetInTensor, bytes.byteSize());
    try {
      writeFully(bytes, position);
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
    count(tensor, bytes.byteSize());
  }

  /// Hands over the bytes of a late tensor; they are kept until the end.
  ///
  /// @throws IllegalArgumentException if there is no such tensor, or it is longer than its bound
  /// @throws IllegalStateException if it was handed over before
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
  ///
  /// @throws IllegalStateException if a tensor is not fully written, or this was called before
  /// @throws IOException if it can't be written; the message names the file
  public void finish() throws IOException {
    requireComplete();
    if (finished.getAndSet(true)) {
      throw new IllegalStateException("finished before");
    }
    List<Integer> lengths = new ArrayList<>();
    long position = layout.lateOffset();
    try {
      for (LateTensor tensor : layout.late()) {
        byte[] bytes = lateBytes(tensor);
        writeFully(MemorySegment.ofArray(bytes), position);
        position += bytes.length;
        lengths.add(bytes.length);
      }
      writeFully(MemorySegment.ofArray(layout.header(lengths)), 0);
      channel.force(true);
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
  }

  private void requireComplete() {
    layout.late().forEach(this::lateBytes);
    for (TensorInfo tensor : layout.tensors().values()) {
      long count = counter(tensor.name()).get();
      if (count != tensor.byteSize()) {
        throw new IllegalStateException(
            "tensor '%s' has %d bytes, %d were written"
                .formatted(tensor.name(), tensor.byteSize(), count));
      }
    }
  }

  private byte[] lateBytes(LateTensor tensor) {
    byte[] bytes = late.get(tensor.name());
    if (bytes == null) {
      throw new IllegalStateException("late tensor '" + tensor.name() + "' was not written");
    }
    return bytes;
  }

  private long position(String tensor, long offsetInTensor, long size) {
    TensorInfo info = layout.tensor(tensor);
    if (offsetInTensor < 0 || size < 0 || offsetInTensor > info.byteSize() - size) {
      throw new IllegalArgumentException(
          "tensor '%s' has %d bytes: no room for %d at %d"
              .formatted(tensor, info.byteSize(), size, offsetInTensor));
    }
    return info.offset() + offsetInTensor;
  }

  private void count(String tensor, long size) {
    counter(tensor).addAndGet(size);
  }

  private AtomicLong counter(String tensor) {
    AtomicLong counter = written.get(tensor);
    if (counter == null) {
      throw new IllegalArgumentException("no tensor '" + tensor + "' in the layout");
    }
    return counter;
  }

  private void writeFully(MemorySegment bytes, long position) throws IOException {
    long done = 0;
    while (done < bytes.byteSize()) {
      ByteBuffer piece = piece(bytes, done);
      while (piece.hasRemaining()) {
        done += channel.write(piece, position + done);
      }
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

  /// Closes the file; it is complete only after {@link #finish()}.
  @Override
  public void close() throws IOException {
    try {
      channel.close();
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
  }
}
