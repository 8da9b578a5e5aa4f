package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.core.JsonToken;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.internal.StrictJson;
import dev.nibble.formats.internal.TorchDtype;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// What a weight of {@link NibbleStorage} says of itself.
record NibbleDescription(QuantScheme scheme, DType dtype, Shape shape) {
  static final int LONGEST = 4096;
  private static final int MOST_DIMS = 8;

  /// Reads a description.
  ///
  /// @throws FormatException if a field is missing or wrong
  /// @throws UnsupportedException if it is of a later version, or names a scheme of one
  static NibbleDescription parse(StrictJson json, String tensor) {
    long version = -1;
    Optional<QuantScheme> scheme = Optional.empty();
    Optional<DType> dtype = Optional.empty();
    Optional<Shape> shape = Optional.empty();
    Set<String> seen = new HashSet<>();
    json.expect(JsonToken.START_OBJECT, "a JSON object");
    for (JsonToken token = json.next(); token == JsonToken.FIELD_NAME; token = json.next()) {
      String name = json.string();
      if (!seen.add(name)) {
        throw json.fault("each field once", "'" + Text.printable(name) + "' again");
      }
      switch (name) {
        case "version" -> {
          version = json.count(json.next(), "a version");
          if (version != NibbleStorage.VERSION) {
            throw new UnsupportedException(
                tensor, "its storage has version " + version + ": a newer nibble opens it");
          }
        }
        case "scheme" -> scheme = Optional.of(scheme(json, tensor));
        case "dtype" -> dtype = Optional.of(dtype(json));
        case "shape" -> shape = Optional.of(shape(json));
        default -> json.skipValue(); // room for notes of later versions
      }
    }
    json.end();
    if (version < 0) {
      throw json.fault("the field 'version'", "none");
    }
    return new NibbleDescription(
        scheme.orElseThrow(() -> json.fault("the field 'scheme'", "none")),
        dtype.orElseThrow(() -> json.fault("the field 'dtype'", "none")),
        shape.orElseThrow(() -> json.fault("the field 'shape'", "none")));
  }

  private static QuantScheme scheme(StrictJson json, String tensor) {
    String text = json.nextString("a scheme");
    try {
      return QuantSchemes.parse(text);
    } catch (IllegalArgumentException e) {
      throw new UnsupportedException(tensor, String.valueOf(e.getMessage()));
    }
  }

  private static DType dtype(StrictJson json) {
    String text = json.nextString("a dtype");
    return TorchDtype.named(text)
        .orElseThrow(() ->
            json.fault("dtype bfloat16, float16 or float32", "'" + Text.printable(text) + "'"));
  }

  private static Shape shape(StrictJson json) {
    List<Long> dims = new ArrayList<>();
    json.expect(JsonToken.START_ARRAY, "a list of dimensions");
    for (JsonToken token = json.next(); token != JsonToken.END_ARRAY; token = json.next()) {
      if (dims.size() == MOST_DIMS) {
        throw json.fault("at most " + MOST_DIMS + " dimensions", "more");
      }
      dims.add(json.count(token, "a dimension"));
    }
    Shape shape = new Shape(dims);
    try {
      if (shape.elements() > 0) {
        return shape;
      }
    } catch (ArithmeticException _) {
      throw json.fault("fewer than 2^63 elements", "shape " + shape);
    }
    throw json.fault("a shape of one element or more", "shape " + shape);
  }
}
