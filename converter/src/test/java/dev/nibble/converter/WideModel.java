package dev.nibble.converter;

import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/// A fixture's model with every tensor in F32.
final class WideModel {
  private WideModel() {}

  static Path write(Path target, Path model) throws IOException {
    Files.createDirectory(target);
    Files.copy(model.resolve("config.json"), target.resolve("config.json"));
    try (Checkpoint source = Checkpoints.open(model)) {
      List<TensorSpec> tensors =
          source.tensors().values().stream()
              .map(tensor -> new TensorSpec(tensor.name(), DType.F32, tensor.shape()))
              .toList();
      SafetensorsLayout layout = SafetensorsLayout.plan(tensors, List.of(), Map.of());
      Path file = target.resolve("diffusion_pytorch_model.safetensors");
      try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout)) {
        for (TensorInfo tensor : source.tensors().values()) {
          float[] values = new float[(int) tensor.shape().elements()];
          FloatReader.of(tensor.dtype()).read(source.data(tensor), 0, values, values.length);
          try (Arena arena = Arena.ofConfined()) {
            writer.write(tensor.name(), 0, arena.allocateFrom(LittleEndian.FLOAT, values));
          }
        }
        writer.finish();
      }
    }
    return target;
  }
}
