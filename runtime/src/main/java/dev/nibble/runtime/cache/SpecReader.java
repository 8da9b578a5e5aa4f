package dev.nibble.runtime.cache;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;

/// Reads the parameters of a rule: `name:key=value,key=value`. Knows the keys that were asked for,
/// so that {@link #end} can name them all where another one was given.
final class SpecReader {
  private final String rule;
  private final Map<String, String> given = new LinkedHashMap<>();
  private final Set<String> known = new LinkedHashSet<>();

  SpecReader(String spec) {
    int colon = spec.indexOf(':');
    this.rule = (colon < 0 ? spec : spec.substring(0, colon)).strip();
    String parameters = colon < 0 ? "" : spec.substring(colon + 1);
    if (colon >= 0 && parameters.isBlank()) {
      throw new IllegalArgumentException("nothing follows the colon");
    }
    for (String parameter : parameters.isEmpty() ? new String[0] : parameters.split(",", -1)) {
      int equals = parameter.indexOf('=');
      if (equals < 1 || equals == parameter.length() - 1) {
        throw new IllegalArgumentException(
            "'%s' is not of the form key=value".formatted(parameter.strip()));
      }
      String key = parameter.substring(0, equals).strip();
      if (given.put(key, parameter.substring(equals + 1).strip()) != null) {
        throw new IllegalArgumentException(key + " is given twice");
      }
    }
  }

  String rule() {
    return rule;
  }

  Optional<String> text(String key) {
    known.add(key);
    return Optional.ofNullable(given.get(key));
  }

  double number(String key, double standard) {
    return number(key).orElse(standard);
  }

  OptionalDouble number(String key) {
    Optional<Double> value = parsed(key, "a number", SpecReader::finite);
    return value.isPresent() ? OptionalDouble.of(value.get()) : OptionalDouble.empty();
  }

  int integer(String key, int standard) {
    return integer(key).orElse(standard);
  }

  OptionalInt integer(String key) {
    Optional<Integer> value = parsed(key, "a whole number", Integer::valueOf);
    return value.isPresent() ? OptionalInt.of(value.get()) : OptionalInt.empty();
  }

  /// 0 or 1.
  boolean flag(String key, boolean standard) {
    return choice(key, standard ? "1" : "0", "0", "1").equals("1");
  }

  /// One of some words.
  String choice(String key, String standard, String... words) {
    String value = text(key).orElse(standard);
    if (!List.of(words).contains(value)) {
      throw bad(key, String.join(" or ", words), value);
    }
    return value;
  }

  /// Numbers with colons between; empty where the text is anything else, such as a file's name.
  static Optional<List<Double>> list(String text) {
    List<Double> numbers = new ArrayList<>();
    try {
      for (String part : text.split(":", -1)) {
        numbers.add(finite(part));
      }
    } catch (NumberFormatException _) {
      return Optional.empty();
    }
    return Optional.of(numbers);
  }

  /// Refuses keys that nothing asked for.
  void end() {
    for (String key : given.keySet()) {
      if (!known.contains(key)) {
        throw new IllegalArgumentException(
            known.isEmpty()
                ? rule + " takes no parameters"
                : "%s has no parameter '%s'; it takes %s"
                    .formatted(rule, key, String.join(", ", known)));
      }
    }
  }

  private <T> Optional<T> parsed(String key, String wanted, Function<String, T> parse) {
    Optional<String> value = text(key);
    try {
      return value.map(parse);
    } catch (NumberFormatException _) {
      throw bad(key, wanted, value.orElseThrow());
    }
  }

  private static double finite(String text) {
    double number = Double.parseDouble(text);
    if (!Double.isFinite(number)) {
      throw new NumberFormatException(text);
    }
    return number;
  }

  private IllegalArgumentException bad(String key, String wanted, String found) {
    return new IllegalArgumentException("%s must be %s, not '%s'".formatted(key, wanted, found));
  }
}
