package dev.nibble.runtime;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.simd.FloatReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/// Reference tensors of a safetensors file in float32.
public final class TensorFile {
  private final Map<String, float[]> values = new HashMap<>();
  private final Map<String, long[]> shapes = new HashMap<>();

  private TensorFile() {}

  /// Reads a fixture.
  public static TensorFile read(String fixture) throws IOException {
    return read(Fixtures.path(fixture));
  }

  /// Reads a file.
  public static TensorFile read(Path path) throws IOException {
    TensorFile file = new TensorFile();
    try (Checkpoint checkpoint = Checkpoints.open(path)) {
      for (TensorInfo info : checkpoint.tensors().values()) {
        if (!info.dtype().isQuantizable()) {
          continue;
        }
        float[] numbers = new float[Math.toIntExact(info.shape().elements())];
        FloatReader.of(info.dtype()).read(checkpoint.data(info), 0, numbers, numbers.length);
        file.values.put(info.name(), numbers);
        file.shapes.put(
            info.name(), info.shape().dims().stream().mapToLong(Long::longValue).toArray());
      }
    }
    return file;
  }

  /// Row-major numbers.
  public float[] values(String name) {
    float[] found = values.get(name);
    if (found == null) {
      throw new AssertionError("no " + name + " among " + values.keySet());
    }
    return found;
  }

  /// Sizes of the axes.
  public long[] shape(String name) {
    return Objects.requireNonNull(shapes.get(name), name);
  }
}
