package dev.nibble.runtime.cache;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.TensorInfo;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/// Float32 tensors of a file under `fixtures`.
final class GoldenTensors implements AutoCloseable {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(java.nio.ByteOrder.LITTLE_ENDIAN);

  private final Checkpoint checkpoint;

  GoldenTensors(String fixture) {
    try {
      checkpoint = Checkpoints.open(Fixtures.path(fixture));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  boolean has(String name) {
    return checkpoint.tensors().containsKey(name);
  }

  long[] dims(String name) {
    return info(name).shape().dims().stream().mapToLong(Long::longValue).toArray();
  }

  float[] array(String name) {
    return checkpoint.data(info(name)).toArray(FLOAT);
  }

  Tensor tensor(String name, Ops ops) {
    return ops.fromHost(array(name), dims(name));
  }

  private TensorInfo info(String name) {
    return Objects.requireNonNull(checkpoint.tensors().get(name), name);
  }

  @Override
  public void close() {
    checkpoint.close();
  }
}
