package dev.nibble.converter;

import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.QuantStorage;
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
/// @param storages how the weights of components are stored, by name, where not as `each` says
public record PipelineRequest(
    ConversionRequest each,
    Map<String, Optional<QuantScheme>> components,
    Map<String, QuantStorage> storages) {
  public PipelineRequest {
    components = Map.copyOf(components);
    storages = Map.copyOf(storages);
  }

  /// Every component as it is treated by default.
  public static PipelineRequest of(ConversionRequest each) {
    return new PipelineRequest(each, Map.of(), Map.of());
  }
}
