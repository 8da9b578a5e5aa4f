package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.io.JsonFile;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/// Numbers of the peers in `fixtures`.
public final class Goldens {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private Goldens() {}

  /// A float32 tensor.
  public static final class Golden {
    private final Shape shape;
    private final float[] values;

    private Golden(Shape shape, float[] values) {
      this.shape = shape;
      this.values = values;
    }

    /// Sizes, slowest axis first.
    public long[] dims() {
      return shape.dims().stream().mapToLong(Long::longValue).toArray();
    }

    /// The numbers, row-major; not copied.
    public float[] values() {
      return values;
    }
  }

  /// The float32 tensors of a file.
  ///
  /// @param name for messages
  public record File(String name, Map<String, Golden> tensors) {
    /// Fails if there is none of that name.
    public Golden get(String tensor) {
      Golden golden = tensors.get(tensor);
      if (golden == null) {
        throw new AssertionError(name + " has no " + tensor);
      }
      return golden;
    }

    /// The numbers of a tensor.
    public float[] values(String tensor) {
      return get(tensor).values();
    }
  }

  /// The float32 tensors of a safetensors file; others are left out.
  public static File tensors(String fixture) throws IOException {
    Map<String, Golden> tensors = new LinkedHashMap<>();
    try (Checkpoint checkpoint = Checkpoints.open(Fixtures.path(fixture))) {
      for (TensorInfo info : checkpoint.tensors().values()) {
        if (info.dtype() == DType.F32) {
          tensors.put(info.name(), new Golden(info.shape(), checkpoint.data(info).toArray(FLOAT)));
        }
      }
    }
    return new File(fixture, tensors);
  }

  /// A JSON file.
  public static JsonNode json(String fixture) throws IOException {
    return JsonFile.object(Fixtures.path(fixture));
  }

  /// The numbers of a JSON list that holds float32 values in full.
  public static float[] floats(JsonNode list) {
    float[] values = new float[list.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) list.get(i).doubleValue();
    }
    return values;
  }

  /// The numbers of a JSON list.
  public static int[] integers(JsonNode list) {
    int[] values = new int[list.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = list.path(i).intValue();
    }
    return values;
  }

  /// Asserts that a failure's message has each of the texts.
  public static void assertSays(Throwable failure, String... texts) {
    String message = String.valueOf(failure.getMessage());
    for (String text : texts) {
      assertTrue(message.contains(text), message);
    }
  }

  /// Asserts `|actual - expected| <= absolute + relative · |expected|` for every element.
  public static void assertClose(
      float[] expected, float[] actual, double relative, double absolute, String what) {
    assertEquals(expected.length, actual.length, what);
    for (int i = 0; i < expected.length; i++) {
      double difference = Math.abs((double) actual[i] - expected[i]);
      int at = i;
      assertTrue(
          difference <= absolute + relative * Math.abs(expected[i]),
          () -> "%s: element %d is %s, not %s".formatted(what, at, actual[at], expected[at]));
    }
  }
}
