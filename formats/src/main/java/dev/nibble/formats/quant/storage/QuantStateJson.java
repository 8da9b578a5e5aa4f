package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.core.JsonToken;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.internal.PythonFloat;
import dev.nibble.formats.internal.StrictJson;
import dev.nibble.formats.internal.TorchDtype;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.FourBitType;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/// The JSON in bitsandbytes' `quant_state` tensor, written as Python's `json.dumps` does:
///
/// ```
/// {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [96, 128],
///  "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.0334...}
/// ```
///
/// on one line, the `nested` fields with double quantization only. The offset is a float32 widened
/// to float64, in Python's shortest form.
///
/// @param scheme what it describes
/// @param dtype type of the weight before quantization; what isn't a 16- or 32-bit float is written
///   as {@link TorchDtype#computable}
/// @param shape of the weight
record QuantStateJson(FourBit scheme, DType dtype, Shape shape) {
  /// What a file's text may have: ten times the longest that any weight needs.
  static final int LONGEST = 4096;

  private static final int NESTED_BLOCK = 256;
  private static final int MOST_DIMS = 8;
  private static final String NESTED_DTYPE = "float32";

  static String typeName(FourBitType type) {
    return type.name().toLowerCase(Locale.ROOT);
  }

  /// The text.
  ///
  /// @param offset mean of all absmax; unused without double quantization
  String text(float offset) {
    return scheme.doubleQuant() ? nested(PythonFloat.repr(offset)) : head() + "}";
  }

  /// Bytes that no text for this weight exceeds.
  int maxLength() {
    return nested("9".repeat(PythonFloat.MAX_LENGTH)).length();
  }

  private String head() {
    return "{\"quant_type\": \"%s\", \"blocksize\": %d, \"dtype\": \"%s\", \"shape\": [%s]"
        .formatted(
            typeName(scheme.type()),
            scheme.blockSize(),
            TorchDtype.name(TorchDtype.computable(dtype)),
            shape.dims().stream().map(String::valueOf).collect(Collectors.joining(", ")));
  }

  private String nested(String offset) {
    return head()
        + ", \"nested_blocksize\": "
        + NESTED_BLOCK
        + ", \"nested_dtype\": \""
        + NESTED_DTYPE
        + "\", \"nested_offset\": "
        + offset
        + "}";
  }

  /// A parsed text.
  ///
  /// @param offset with double quantization
  record Parsed(QuantStateJson state, Optional<Float> offset) {}

  /// Reads a text; every field is checked.
  ///
  /// @throws FormatException if it isn't one that bitsandbytes writes
  static Parsed parse(StrictJson json, String expectedType) {
    Fields fields = new Fields();
    json.expect(JsonToken.START_OBJECT, "a JSON object");
    Set<String> seen = new HashSet<>();
    for (JsonToken token = json.next(); token == JsonToken.FIELD_NAME; token = json.next()) {
      String name = json.string();
      if (!seen.add(name)) {
        throw json.fault("each field once", "'" + Text.printable(name) + "' again");
      }
      fields.read(name, json);
    }
    json.end();
    return fields.finish(json, seen, expectedType);
  }

  /// The fields as they come.
  private static final class Fields {
    private String type = "";
    private long blockSize;
    private DType dtype = DType.F32;
    private final List<Long> dims = new ArrayList<>();
    private float offset;

    void read(String name, StrictJson json) {
      switch (name) {
        case "quant_type" -> type = json.nextString("'nf4' or 'fp4'");
        case "blocksize" -> blockSize = json.count(json.next(), "a block size");
        case "dtype" -> {
          String text = json.nextString("a dtype");
          dtype =
              TorchDtype.named(text)
                  .orElseThrow(() ->
                      json.fault(
                          "dtype bfloat16, float16 or float32", "'" + Text.printable(text) + "'"));
        }
        case "shape" -> readShape(json);
        case "nested_blocksize" -> {
          long size = json.count(json.next(), "a block size");
          if (size != NESTED_BLOCK) {
            throw json.fault("nested_blocksize 256", String.valueOf(size));
          }
        }
        case "nested_dtype" -> {
          String text = json.nextString("a dtype");
          if (!text.equals(NESTED_DTYPE)) {
            throw json.fault("nested_dtype float32", "'" + Text.printable(text) + "'");
          }
        }
        case "nested_offset" -> readOffset(json);
        default ->
            throw json.fault("the fields of a quant_state", "'" + Text.printable(name) + "'");
      }
    }

    private void readShape(StrictJson json) {
      json.expect(JsonToken.START_ARRAY, "a list of dimensions");
      for (JsonToken token = json.next(); token != JsonToken.END_ARRAY; token = json.next()) {
        if (dims.size() == MOST_DIMS) {
          throw json.fault("at most " + MOST_DIMS + " dimensions", "more");
        }
        dims.add(json.count(token, "a dimension"));
      }
    }

    private void readOffset(StrictJson json) {
      JsonToken token = json.next();
      if (token != JsonToken.VALUE_NUMBER_FLOAT && token != JsonToken.VALUE_NUMBER_INT) {
        throw json.fault("a number", json.describe(token));
      }
      offset = (float) Double.parseDouble(json.string());
      if (!Float.isFinite(offset)) {
        throw json.fault("a nested_offset in float32", Text.printable(json.string()));
      }
    }

    Parsed finish(StrictJson json, Set<String> seen, String expectedType) {
      for (String field : List.of("quant_type", "blocksize", "dtype", "shape")) {
        requireField(json, seen, field);
      }
      boolean nested = seen.contains("nested_offset");
      for (String field : List.of("nested_blocksize", "nested_dtype")) {
        if (nested || seen.contains(field)) {
          requireField(json, seen, field);
          requireField(json, seen, "nested_offset");
        }
      }
      if (!type.equals(expectedType)) {
        throw json.fault(
            "quant_type '" + expectedType + "' as in the tensor's name",
            "'" + Text.printable(type) + "'");
      }
      FourBitType fourBitType = type.equals("nf4") ? FourBitType.NF4 : FourBitType.FP4;
      FourBit scheme;
      try {
        scheme = new FourBit(fourBitType, Math.toIntExact(blockSize), nested);
      } catch (IllegalArgumentException | ArithmeticException _) {
        throw json.fault(
            "a blocksize that is a power of two from 32 to 4096", String.valueOf(blockSize));
      }
      Shape shape = new Shape(dims);
      requireElements(json, shape);
      return new Parsed(
          new QuantStateJson(scheme, dtype, shape),
          nested ? Optional.of(offset) : Optional.empty());
    }

    private static void requireElements(StrictJson json, Shape shape) {
      try {
        if (shape.rank() > 0 && shape.elements() > 0) {
          return;
        }
      } catch (ArithmeticException _) {
        throw json.fault("fewer than 2^63 elements", "shape " + shape);
      }
      throw json.fault("a shape of one element or more", "shape " + shape);
    }

    private static void requireField(StrictJson json, Set<String> seen, String field) {
      if (!seen.contains(field)) {
        throw json.fault("the field '" + field + "'", "none");
      }
    }
  }
}
