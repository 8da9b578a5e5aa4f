package dev.nibble.tools;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The options of one output as typed, in order.
final class TypedOptions {
  private final List<Typed> options = new ArrayList<>();
  private Optional<String> output = Optional.empty();

  /// @param value empty for a flag
  private record Typed(String name, String value) {}

  void add(String name, String value) {
    options.add(new Typed(name, value));
  }

  void addAll(TypedOptions others) {
    options.addAll(others.options);
  }

  void setOutput(String typed) {
    output = Optional.of(typed);
  }

  /// Where the output goes.
  Optional<String> output() {
    return output;
  }

  boolean isEmpty() {
    return options.isEmpty();
  }

  /// The name of the first option.
  String first() {
    return options.getFirst().name();
  }

  /// The names of all options.
  List<String> names() {
    return options.stream().map(Typed::name).toList();
  }

  /// What was given to an option, each time.
  List<String> values(String name) {
    return options.stream().filter(option -> option.name().equals(name)).map(Typed::value).toList();
  }

  boolean has(String name) {
    return options.stream().anyMatch(option -> option.name().equals(name));
  }
}
