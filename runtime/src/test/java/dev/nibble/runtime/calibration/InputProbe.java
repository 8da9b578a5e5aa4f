package dev.nibble.runtime.calibration;

import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Buffer;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;

/// Keeps every input of every layer, as it is.
final class InputProbe implements UnaryOperator<Backend>, InputListener {
  /// All rows of a layer, one after the other.
  final SequencedMap<String, List<float[]>> rows = new LinkedHashMap<>();

  /// In which buffers each layer found its inputs, in order.
  final Map<String, List<Buffer>> buffers = new LinkedHashMap<>();

  @Override
  public Backend apply(Backend backend) {
    return new RecordingBackend(backend, "transformer", this);
  }

  @Override
  public void see(NamedWeight weight, Tensor x, Ops session) {
    float[] values = session.toHost(x);
    int features = weight.inFeatures();
    List<float[]> known = rows.computeIfAbsent(weight.module(), _ -> new ArrayList<>());
    for (int at = 0; at < values.length; at += features) {
      float[] row = new float[features];
      System.arraycopy(values, at, row, 0, features);
      known.add(row);
    }
    buffers.computeIfAbsent(weight.module(), _ -> new ArrayList<>()).add(x.buffer());
  }

  @Override
  public void close() {}
}
