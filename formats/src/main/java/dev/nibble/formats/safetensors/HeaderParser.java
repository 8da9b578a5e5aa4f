package dev.nibble.formats.safetensors;

import com.fasterxml.jackson.core.JsonToken;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.internal.StrictJson;
import dev.nibble.formats.safetensors.SafetensorsHeader.Entry;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// The JSON of a safetensors header: its form only. Whether the ranges fit the file is {@link
/// LayoutChecker}'s business.
final class HeaderParser {
  static final String METADATA = "__metadata__";

  private final StrictJson json;
  private final Map<String, Entry> tensors = new LinkedHashMap<>();
  private Optional<Map<String, String>> metadata = Optional.empty();

  private HeaderParser(StrictJson json) {
    this.json = json;
  }

  /// What the JSON says, in its order.
  record Content(List<Entry> tensors, Map<String, String> metadata) {}

  static Content parse(Path path, MemorySegment text, long textOffset) {
    try (var json = new StrictJson(path, text, textOffset)) {
      return new HeaderParser(json).header();
    }
  }

  private Content header() {
    json.expect(JsonToken.START_OBJECT, "a JSON object");
    while (json.next() == JsonToken.FIELD_NAME) {
      String name = json.string();
      if (name.equals(METADATA)) {
        metadata();
        continue;
      }
      json.about(Optional.of(name));
      if (tensors.containsKey(name)) {
        throw json.fault("one entry for a tensor", "a second one");
      }
      tensors.put(name, tensor(name));
      json.about(Optional.empty());
    }
    json.end();
    return new Content(new ArrayList<>(tensors.values()), metadata.orElse(Map.of()));
  }

  private void metadata() {
    if (metadata.isPresent()) {
      throw json.fault("one " + METADATA, "a second one");
    }
    Map<String, String> values = new LinkedHashMap<>();
    metadata = Optional.of(values);
    JsonToken token = json.next();
    // The official library takes null for "no metadata".
    if (token == JsonToken.VALUE_NULL) {
      return;
    }
    if (token != JsonToken.START_OBJECT) {
      throw json.fault("an object as " + METADATA, json.describe(token));
    }
    while (json.next() == JsonToken.FIELD_NAME) {
      String key = json.string();
      if (values.containsKey(key)) {
        throw json.fault(
            "one value for the metadata key '" + Text.printable(key) + "'", "a second one");
      }
      String what = "a string as value of the metadata key '" + Text.printable(key) + "'";
      values.put(key, json.nextString(what));
    }
  }

  private Entry tensor(String name) {
    JsonToken token = json.next();
    if (token == JsonToken.START_OBJECT) {
      return tensorFromObject(name);
    }
    if (token == JsonToken.START_ARRAY) {
      return tensorFromArray(name);
    }
    throw json.fault("an object with dtype, shape and data_offsets", json.describe(token));
  }

  private Entry tensorFromObject(String name) {
    Optional<DType> dtype = Optional.empty();
    Optional<Shape> shape = Optional.empty();
    long @Nullable [] range = null;
    while (json.next() == JsonToken.FIELD_NAME) {
      switch (json.string()) {
        case "dtype" -> {
          once(dtype.isPresent(), "dtype");
          dtype = Optional.of(dtype());
        }
        case "shape" -> {
          once(shape.isPresent(), "shape");
          shape = Optional.of(shape());
        }
        case "data_offsets" -> {
          once(range != null, "data_offsets");
          range = range();
        }
        default -> json.skipValue();
      }
    }
    if (range == null) {
      throw missing("data_offsets");
    }
    return new Entry(
        name,
        dtype.orElseThrow(() -> missing("dtype")),
        shape.orElseThrow(() -> missing("shape")),
        range[0],
        range[1]);
  }

  /// The official parser also takes the three fields as an array, in their order.
  private Entry tensorFromArray(String name) {
    DType dtype = dtype();
    Shape shape = shape();
    long[] range = range();
    json.expect(JsonToken.END_ARRAY, "dtype, shape and data_offsets and no more");
    return new Entry(name, dtype, shape, range[0], range[1]);
  }

  private void once(boolean seen, String field) {
    if (seen) {
      throw json.fault("one " + field, "a second one");
    }
  }

  private RuntimeException missing(String field) {
    return json.fault(field, "an entry without it");
  }

  private DType dtype() {
    String name = json.nextString("a dtype");
    return DType.named(name)
        .orElseThrow(() ->
            json.fault(
                "a dtype among " + Arrays.toString(DType.values()),
                "'" + Text.printable(name) + "'"));
  }

  private Shape shape() {
    json.expect(JsonToken.START_ARRAY, "an array as shape");
    List<Long> dims = new ArrayList<>(4);
    JsonToken token = json.next();
    while (token != JsonToken.END_ARRAY) {
      dims.add(json.count(token, "a dimension"));
      token = json.next();
    }
    return new Shape(dims);
  }

  private long[] range() {
    json.expect(JsonToken.START_ARRAY, "an array of two data_offsets");
    long begin = json.count(json.next(), "the first of two data_offsets");
    long end = json.count(json.next(), "the second of two data_offsets");
    json.expect(JsonToken.END_ARRAY, "two data_offsets");
    return new long[] {begin, end};
  }
}
