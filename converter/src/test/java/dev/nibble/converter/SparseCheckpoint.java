package dev.nibble.converter;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/// Writes checkpoints of any size that take no room: the header is real, the data a hole (zeros).
final class SparseCheckpoint {
  private SparseCheckpoint() {}

  /// One bfloat16 weight.
  record Weight(String name, long rows, long columns) {
    long bytes() {
      return rows * columns * 2;
    }
  }

  /// Returns the size of the file in bytes.
  static long write(Path file, List<Weight> weights) throws IOException {
    List<String> entries = new ArrayList<>();
    long offset = 0;
    for (Weight weight : weights) {
      long end = offset + weight.bytes();
      entries.add(
          "\"%s\":{\"dtype\":\"BF16\",\"shape\":[%d,%d],\"data_offsets\":[%d,%d]}"
              .formatted(weight.name(), weight.rows(), weight.columns(), offset, end));
      offset = end;
    }
    byte[] json = ("{" + String.join(",", entries) + "}").getBytes(StandardCharsets.UTF_8);
    ByteBuffer header = ByteBuffer.allocate(8 + json.length).order(ByteOrder.LITTLE_ENDIAN);
    header.putLong(json.length).put(json).flip();
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      channel.write(header);
      channel.write(ByteBuffer.allocate(1), 8 + json.length + offset - 1);
      return channel.size();
    }
  }
}
