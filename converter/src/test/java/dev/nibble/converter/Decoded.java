package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.OpenModel;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.quant.DecodeScratch;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.storage.LogicalTensor;

/// Tensors as a reader sees them.
final class Decoded {
  private Decoded() {}

  /// The values of a tensor in float32, all of which must be finite.
  static float[] values(OpenModel model, String name) {
    float[] values =
        switch (model.tensors().get(name)) {
          case LogicalTensor.Dense(TensorInfo info) -> {
            float[] read = new float[(int) info.shape().elements()];
            FloatReader.of(info.dtype()).read(model.checkpoint().data(info), 0, read, read.length);
            yield read;
          }
          case LogicalTensor.Quantized weight -> decoded(weight.tensor());
          case null -> throw new AssertionError("no tensor " + name);
        };
    for (float value : values) {
      assertTrue(Float.isFinite(value), name);
    }
    return values;
  }

  private static float[] decoded(QuantizedTensor weight) {
    float[] values = new float[(int) weight.shape().elements()];
    weight.scheme().decoder(weight).decode(0, values.length, values, 0, new DecodeScratch());
    return values;
  }

  /// Norm of the difference over the norm.
  static double relativeError(float[] expected, float[] found) {
    double error = 0;
    double square = 0;
    for (int i = 0; i < expected.length; i++) {
      double difference = (double) found[i] - expected[i];
      error += difference * difference;
      square += (double) expected[i] * expected[i];
    }
    return Math.sqrt(error / square);
  }
}
