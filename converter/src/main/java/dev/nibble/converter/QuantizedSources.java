package dev.nibble.converter;

final class QuantizedSources {
  private QuantizedSources() {}

  static void refuse(PlanSource source) {}
}
