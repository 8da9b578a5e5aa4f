package dev.nibble.converter;

import dev.nibble.formats.quant.QuantScheme;
import java.util.Map;
import java.util.Optional;

/// What to convert of a pipeline directory, and how.
///
/// Transformers, UNets and text encoders are quantized as `each` says; every other component is
/// kept. Patterns (`skip`, `only`, schemes of modules) hold in every component that is quantized.
///
/// @param each the request for a component; its source is the pipeline, its output the pipeline's.
///   Without a scheme for all, only components that have one of their own are quantized
/// @param components the scheme of components by name; empty: keep it
public record PipelineRequest(
    ConversionRequest each, Map<String, Optional<QuantScheme>> components) {
  public PipelineRequest {
    components = Map.copyOf(components);
  }

  /// Every component as it is treated by default.
  public static PipelineRequest of(ConversionRequest each) {
    return new PipelineRequest(each, Map.of());
  }
}
