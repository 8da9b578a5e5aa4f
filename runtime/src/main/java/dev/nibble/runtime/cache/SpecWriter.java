package dev.nibble.runtime.cache;

import java.util.List;
import java.util.StringJoiner;
import java.util.stream.Collectors;

/// Writes a rule as {@link StepCaches#parse} reads it.
final class SpecWriter {
  private final String rule;
  private final StringJoiner parameters = new StringJoiner(",");

  SpecWriter(String rule) {
    this.rule = rule;
  }

  SpecWriter put(String key, Object value) {
    parameters.add(key + "=" + (value instanceof Number number ? text(number) : value));
    return this;
  }

  /// Leaves a parameter out where it has its default.
  SpecWriter putUnless(Object standard, String key, Object value) {
    return standard.equals(value) ? this : put(key, value);
  }

  /// A number that reads back as the same number, without a needless `.0`.
  static String text(Number number) {
    String text = number.toString();
    return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
  }

  /// Numbers with colons between, since commas separate parameters.
  static String list(List<Double> numbers) {
    return numbers.stream().map(SpecWriter::text).collect(Collectors.joining(":"));
  }

  @Override
  public String toString() {
    return parameters.length() == 0 ? rule : rule + ":" + parameters;
  }
}
