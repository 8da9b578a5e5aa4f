package dev.nibble.runtime.cache;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.io.JsonFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// A list of numbers of a parameter: the name of a known list, the numbers with colons between, or
/// a JSON file with a member of the parameter's name, such as `{"ratios": [1, 0.98]}`.
final class NumberList {
  private NumberList() {}

  static List<Double> parse(String parameter, String text, Map<String, List<Double>> known)
      throws IOException {
    List<Double> named = known.get(text);
    if (named != null) {
      return named;
    }
    Optional<List<Double>> numbers = SpecReader.list(text);
    if (numbers.isPresent()) {
      return numbers.get();
    }
    Path file = Path.of(text);
    if (!Files.exists(file)) {
      throw new IllegalArgumentException(
          "%s must be one of %s, numbers with colons between, or a JSON file; there is no file '%s'"
              .formatted(parameter, String.join(", ", known.keySet()), text));
    }
    return read(file, parameter);
  }

  private static List<Double> read(Path file, String member) throws IOException {
    JsonNode list = JsonFile.object(file).path(member);
    List<Double> numbers = new ArrayList<>();
    for (JsonNode number : list) {
      if (!number.isNumber()) {
        throw new FormatException(Where.in(file), "numbers in '" + member + "'", number.toString());
      }
      numbers.add(number.asDouble());
    }
    if (!list.isArray() || numbers.isEmpty()) {
      throw new FormatException(Where.in(file), "a list of numbers '" + member + "'", "none");
    }
    return numbers;
  }

  /// As {@link #parse} takes it: by name where there is one.
  static String text(List<Double> numbers, Map<String, List<Double>> known) {
    return known.entrySet().stream()
        .filter(entry -> entry.getValue().equals(numbers))
        .map(Map.Entry::getKey)
        .findFirst()
        .orElseGet(() -> SpecWriter.list(numbers));
  }
}
