package dev.nibble.tools;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import dev.nibble.runtime.GeneratedImage;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The file that `--save-latents` names: the tensor `latents` `[count, C, h, w]`, float32, what the
/// autoencoder was given; the parameters of the first picture as metadata.
final class LatentsFile {
  private static final String NAME = "latents";

  private LatentsFile() {}

  /// Fills an output that the caller commits.
  static void write(PendingOutput output, List<GeneratedImage> images) throws IOException {
    Shape one = images.getFirst().latents().shape();
    List<Long> dims = new ArrayList<>(one.dims());
    dims.set(0, (long) images.size());
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("format", "pt"); // without it, transformers' loaders refuse a file
    metadata.putAll(images.getFirst().parameters());
    SafetensorsLayout layout =
        SafetensorsLayout.plan(
            List.of(new TensorSpec(NAME, DType.F32, new Shape(dims))), List.of(), metadata);
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(output.path(), layout, output.target())) {
      long offset = 0;
      for (GeneratedImage image : images) {
        byte[] bytes = bytes(image.latents().values());
        writer.write(NAME, offset, MemorySegment.ofArray(bytes));
        offset += bytes.length;
      }
      writer.finish();
    }
  }

  private static byte[] bytes(float[] values) {
    byte[] bytes = new byte[Math.multiplyExact(4, values.length)];
    MemorySegment segment = MemorySegment.ofArray(bytes);
    for (int i = 0; i < values.length; i++) {
      segment.set(LittleEndian.FLOAT, 4L * i, values[i]);
    }
    return bytes;
  }
}
