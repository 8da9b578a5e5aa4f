package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.StoredTensor;
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

/// A checkpoint of random weights of about the size of trained ones, for benchmarks: matrices in a
/// scheme with double quantization, parameters in float32. What it draws is noise, at the speed of
/// a real model of that shape.
final class RandomCheckpoint {
  private static final int NOISE_BYTES = 64 << 20;
  private static final float[] NF4 = {
    -1f, -0.6962f, -0.5251f, -0.3949f, -0.2844f, -0.1848f, -0.0911f, 0f, 0.0796f, 0.1609f, 0.2461f,
    0.3379f, 0.4407f, 0.5626f, 0.723f, 1f
  };

  private final QuantScheme scheme;
  private final List<Entry> entries = new ArrayList<>();
  private final byte[] noise = new byte[NOISE_BYTES];

  /// @param fixed the bytes, empty for noise
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Entry(String name, DType dtype, List<Long> dims, long size, byte[] fixed) {}

  RandomCheckpoint(QuantScheme scheme) {
    this.scheme = scheme;
    new Random(1).nextBytes(noise);
  }

  /// A quantized matrix.
  RandomCheckpoint matrix(String name, long out, long in) {
    Shape shape = Shape.of(out, in);
    for (StoredTensor tensor : new NibbleStorage().plan(name, scheme, shape, DType.BF16)) {
      switch (tensor.content()) {
        case StoredTensor.PartContent(Part part, DType dtype, Shape dims, boolean _) ->
            add(tensor.name(), dtype, dims, values(part, dims));
        case StoredTensor.Constant(DType dtype, Shape dims, List<Byte> bytes) -> {
          byte[] fixed = new byte[bytes.size()];
          for (int i = 0; i < fixed.length; i++) {
            fixed[i] = bytes.get(i);
          }
          add(tensor.name(), dtype, dims, fixed);
        }
        case StoredTensor.Document _ -> throw new IllegalStateException(tensor.name());
      }
    }
    return this;
  }

  private static byte[] values(Part part, Shape shape) {
    return switch (part) {
      case CODES, ABSMAX -> new byte[0];
      case CODEBOOK -> floats(16, i -> NF4[i]);
      case NESTED_CODEBOOK -> floats(256, i -> (i - 127.5f) / 127.5f);
      case NESTED_ABSMAX -> floats((int) shape.elements(), _ -> 0.01f);
      case NESTED_OFFSET -> floats(1, _ -> 0.05f);
      case SCALE, ZERO_POINT -> throw new IllegalArgumentException(part.toString());
    };
  }

  /// A vector of ones, or of numbers near 0.
  RandomCheckpoint vector(String name, boolean ones, long... dims) {
    Shape shape = Shape.of(dims);
    Random random = new Random(name.hashCode());
    add(
        name,
        DType.F32,
        shape,
        floats((int) shape.elements(), _ -> ones ? 1 : 0.02f * (float) random.nextGaussian()));
    return this;
  }

  private void add(String name, DType dtype, Shape shape, byte[] fixed) {
    entries.add(new Entry(name, dtype, shape.dims(), dtype.byteSize(shape.elements()), fixed));
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
                  entry.dtype(),
                  entry.dims(),
                  offset,
                  offset + entry.size()));
      offset += entry.size();
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
        write(channel, entry);
      }
    }
  }

  private void write(FileChannel channel, Entry entry) throws IOException {
    if (entry.fixed().length > 0) {
      channel.write(ByteBuffer.wrap(entry.fixed()));
      return;
    }
    for (long at = 0; at < entry.size(); at += NOISE_BYTES) {
      int bytes = (int) Math.min(NOISE_BYTES, entry.size() - at);
      channel.write(ByteBuffer.wrap(noise, 0, bytes));
    }
  }
}
