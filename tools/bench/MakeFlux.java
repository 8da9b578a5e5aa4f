import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/// Writes a safetensors file in the shape of FLUX.1 (1 double and 5 single blocks, full width, bfloat16,
/// 2.1 GB) with gaussian weights of standard deviation 0.02 from a fixed seed.
///
/// Usage: `java MakeFlux.java OUT.safetensors`
public final class MakeFlux {
  private static final int CHUNK = 1 << 24;

  public static void main(String[] args) throws IOException {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    linear(shapes, "x_embedder", 3072, 64);
    linear(shapes, "context_embedder", 3072, 4096);
    linear(shapes, "time_text_embed.timestep_embedder.linear_1", 3072, 256);
    linear(shapes, "time_text_embed.timestep_embedder.linear_2", 3072, 3072);
    linear(shapes, "time_text_embed.text_embedder.linear_1", 3072, 768);
    linear(shapes, "time_text_embed.text_embedder.linear_2", 3072, 3072);
    linear(shapes, "norm_out.linear", 6144, 3072);
    linear(shapes, "proj_out", 64, 3072);
    doubleBlock(shapes, "transformer_blocks.0.");
    for (int i = 0; i < 5; i++) {
      singleBlock(shapes, "single_transformer_blocks." + i + ".");
    }
    write(Path.of(args[0]), shapes);
  }

  private static void doubleBlock(Map<String, long[]> shapes, String block) {
    for (String stream : new String[] {"norm1.linear", "norm1_context.linear"}) {
      linear(shapes, block + stream, 18432, 3072);
    }
    for (String projection :
        new String[] {
          "to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"
        }) {
      linear(shapes, block + "attn." + projection, 3072, 3072);
    }
    for (String stream : new String[] {"ff", "ff_context"}) {
      linear(shapes, block + stream + ".net.0.proj", 12288, 3072);
      linear(shapes, block + stream + ".net.2", 3072, 12288);
    }
    for (String norm : new String[] {"norm_q", "norm_k", "norm_added_q", "norm_added_k"}) {
      shapes.put(block + "attn." + norm + ".weight", new long[] {128});
    }
  }

  private static void singleBlock(Map<String, long[]> shapes, String block) {
    linear(shapes, block + "norm.linear", 9216, 3072);
    for (String projection : new String[] {"to_q", "to_k", "to_v"}) {
      linear(shapes, block + "attn." + projection, 3072, 3072);
    }
    shapes.put(block + "attn.norm_q.weight", new long[] {128});
    shapes.put(block + "attn.norm_k.weight", new long[] {128});
    linear(shapes, block + "proj_mlp", 12288, 3072);
    linear(shapes, block + "proj_out", 3072, 15360);
  }

  private static void linear(Map<String, long[]> shapes, String module, long out, long in) {
    shapes.put(module + ".weight", new long[] {out, in});
    shapes.put(module + ".bias", new long[] {out});
  }

  private static void write(Path file, Map<String, long[]> shapes) throws IOException {
    StringBuilder json = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
    long offset = 0;
    for (Map.Entry<String, long[]> entry : shapes.entrySet()) {
      long[] shape = entry.getValue();
      long bytes = 2 * (shape.length == 1 ? shape[0] : shape[0] * shape[1]);
      json.append(",\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%d,%d]}"
          .formatted(
              entry.getKey(),
              shape.length == 1 ? "" + shape[0] : shape[0] + "," + shape[1],
              offset,
              offset + bytes));
      offset += bytes;
    }
    json.append("}").append(" ".repeat((8 - json.length() % 8) % 8));
    byte[] header = json.toString().getBytes(StandardCharsets.UTF_8);
    try (FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
      channel.write(start.putLong(header.length).put(header).flip());
      writeGaussians(channel, offset);
    }
  }

  /// Draws from a table of 65,536 gaussian values: generating each anew would take minutes.
  private static void writeGaussians(FileChannel channel, long bytes) throws IOException {
    Random random = new Random(1);
    short[] table = new short[1 << 16];
    for (int i = 0; i < table.length; i++) {
      float value = (float) (random.nextGaussian() * 0.02);
      table[i] = (short) ((Float.floatToRawIntBits(value) + 0x8000) >> 16);
    }
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
    long state = 88172645463325252L;
    for (long left = bytes; left > 0; left -= chunk.limit()) {
      chunk.clear().limit((int) Math.min(CHUNK, left));
      for (int i = 0; i < chunk.limit(); i += 2) {
        state ^= state << 13;
        state ^= state >>> 7;
        state ^= state << 17;
        chunk.putShort(i, table[(int) (state >>> 40) & 0xffff]);
      }
      channel.write(chunk);
    }
  }
}
