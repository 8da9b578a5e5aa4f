package dev.nibble.converter.algorithm;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.quant.QuantSchemes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.stream.StreamSupport;

/// What AutoAWQ made of one layer: a weight `[128, 256]`, 256 tokens.
final class AwqGolden {
  static final int ROWS = 128;
  static final int COLUMNS = 256;
  static final float[] WEIGHT = values("awq.src.safetensors", "weight");
  static final float[] TOKENS = values("awq.src.safetensors", "calibration");

  private AwqGolden() {}

  static float[] values(String file, String tensor) {
    try (Checkpoint checkpoint = Checkpoints.open(Fixtures.path("goldens/awq/" + file))) {
      MemorySegment data =
          checkpoint.data(Objects.requireNonNull(checkpoint.tensors().get(tensor), tensor));
      float[] values = new float[(int) (data.byteSize() / 4)];
      MemorySegment.copy(data, LittleEndian.FLOAT, 0, values, 0, values.length);
      return values;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// The case of that key in a manifest.
  static JsonNode golden(String manifest, String key) {
    try {
      JsonNode cases =
          new ObjectMapper()
              .readTree(Fixtures.path("goldens/awq/" + manifest).toFile())
              .get("cases");
      return StreamSupport.stream(cases.spliterator(), false)
          .filter(one -> one.get("key").asText().equals(key))
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static CalibratedLayer layer(String scheme, boolean withHessian) {
    return layer("fc", WEIGHT, scheme, new TokenInput("fc", TOKENS, COLUMNS, withHessian));
  }

  static CalibratedLayer layer(String module, float[] weight, String scheme, TokenInput input) {
    int columns = input.features();
    return new CalibratedLayer(
        module,
        new TestRows(weight, weight.length / columns, columns),
        QuantSchemes.parse(scheme),
        input);
  }
}
