package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/// A checkpoint of random float32 weights of about the size of trained ones, for benchmarks. What
/// it draws is noise, at the speed of a real model of that shape.
final class RandomCheckpoint {
  private final List<Entry> entries = new ArrayList<>();

  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Entry(String name, List<Long> dims, byte[] bytes) {}

  /// A vector of ones, or of numbers near 0.
  RandomCheckpoint vector(String name, boolean ones, long... dims) {
    Shape shape = Shape.of(dims);
    Random random = new Random(name.hashCode());
    entries.add(
        new Entry(
            name,
            shape.dims(),
            floats((int) shape.elements(), _ -> ones ? 1 : 0.02f * (float) random.nextGaussian())));
    return this;
  }

  @FunctionalInterface
  private interface Values {
    float at(int index);
  }

  private static byte[] floats(int count, Values values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      bytes.putFloat(values.at(i));
    }
    return bytes.array();
  }

  /// Writes the checkpoint and its `config.json`.
  void write(Path directory, String config) throws IOException {
    Files.createDirectories(directory);
    Files.writeString(directory.resolve("config.json"), config);
    StringBuilder json = new StringBuilder("{");
    long offset = 0;
    for (Entry entry : entries) {
      json.append(
          "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
              .formatted(
                  json.length() == 1 ? "" : ",",
                  entry.name(),
                  DType.F32,
                  entry.dims(),
                  offset,
                  offset + entry.bytes().length));
      offset += entry.bytes().length;
    }
    json.append('}');
    json.append(" ".repeat(Math.floorMod(-json.length(), 8)));
    byte[] header = json.toString().getBytes(StandardCharsets.UTF_8);
    Path file = directory.resolve("diffusion_pytorch_model.safetensors");
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
      channel.write(length.putLong(header.length).flip());
      channel.write(ByteBuffer.wrap(header));
      for (Entry entry : entries) {
        channel.write(ByteBuffer.wrap(entry.bytes()));
      }
    }
  }
}
