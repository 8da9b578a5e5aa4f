package dev.nibble.converter;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Checkpoints made of headers: the data is a hole in the file, which a plan never reads.
final class TestModels {
  private TestModels() {}

  /// The linear layers of a small FLUX transformer in diffusers names.
  static Map<String, Shape> flux() {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    linear(tensors, "x_embedder", 64, 64);
    linear(tensors, "transformer_blocks.0.attn.to_q", 64, 64);
    linear(tensors, "transformer_blocks.0.norm1.linear", 384, 64);
    tensors.put("transformer_blocks.0.attn.norm_q.weight", Shape.of(32));
    for (int i = 0; i < 2; i++) {
      linear(tensors, "single_transformer_blocks." + i + ".proj_mlp", 256, 64);
      linear(tensors, "single_transformer_blocks." + i + ".proj_out", 64, 320);
    }
    linear(tensors, "norm_out.linear", 128, 64);
    linear(tensors, "proj_out", 64, 64);
    return tensors;
  }

  /// The same kind of model in the original names.
  static Map<String, Shape> fluxOriginal(String prefix) {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    linear(tensors, prefix + "img_in", 64, 64);
    linear(tensors, prefix + "double_blocks.0.img_attn.qkv", 192, 64);
    tensors.put(prefix + "double_blocks.0.img_attn.norm.key_norm.scale", Shape.of(32));
    linear(tensors, prefix + "single_blocks.0.linear1", 448, 64);
    return tensors;
  }

  static void linear(Map<String, Shape> tensors, String module, long out, long in) {
    tensors.put(module + ".weight", Shape.of(out, in));
    tensors.put(module + ".bias", Shape.of(out));
  }

  /// Writes a safetensors file with these tensors.
  static Path write(Path file, Map<String, Shape> tensors, DType dtype) throws IOException {
    List<String> entries = new ArrayList<>();
    long end = 0;
    for (Map.Entry<String, Shape> tensor : tensors.entrySet()) {
      long begin = end;
      end += dtype.byteSize(tensor.getValue().elements());
      entries.add(
          "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
              .formatted(tensor.getKey(), dtype, tensor.getValue().dims(), begin, end));
    }
    byte[] header = ("{" + String.join(",", entries) + "}").getBytes(StandardCharsets.UTF_8);
    ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
    start.putLong(header.length).put(header).flip();
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      channel.write(start);
      if (end > 0) {
        channel.write(ByteBuffer.allocate(1), 8 + header.length + end - 1);
      }
    }
    return file;
  }
}
