package dev.nibble.tools;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/// Files of a few F32 zeros.
final class TinyFile {
  private TinyFile() {}

  /// @param tensors as `name:[2,3]`
  static void write(Path file, String... tensors) throws IOException {
    List<TensorSpec> specs = new ArrayList<>();
    for (String tensor : tensors) {
      String[] words = tensor.split(":");
      String dims = words[1].substring(1, words[1].length() - 1);
      long[] shape = Arrays.stream(dims.split(",")).mapToLong(Long::parseLong).toArray();
      specs.add(new TensorSpec(words[0], DType.F32, Shape.of(shape)));
    }
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(file, SafetensorsLayout.plan(specs, List.of(), Map.of()))) {
      for (TensorSpec spec : specs) {
        writer.write(spec.name(), 0, MemorySegment.ofArray(new byte[(int) spec.byteSize()]));
      }
      writer.finish();
    }
  }
}
