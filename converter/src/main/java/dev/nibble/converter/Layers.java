package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.DType;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/// What becomes of every tensor.
///
/// @param decisions in file order
record Layers(List<Decision> decisions) {
  /// The same with schemes as their storages hold them.
  Layers adapted(Function<Decision.Quantize, QuantStorage> storages) {
    List<Decision> adapted = new ArrayList<>();
    for (Decision decision : decisions) {
      adapted.add(
          switch (decision) {
            case Decision.Keep keep -> keep;
            case Decision.Cast cast -> cast;
            case Decision.Quantize weight -> {
              DType source = weight.tensor().dtype();
              QuantScheme scheme = storages.apply(weight).adapt(weight.scheme(), source);
              yield new Decision.Quantize(weight.tensor(), scheme, weight.reason());
            }
          });
    }
    return new Layers(adapted);
  }

  List<Decision.Quantize> quantized() {
    List<Decision.Quantize> found = new ArrayList<>();
    for (Decision decision : decisions) {
      if (decision instanceof Decision.Quantize quantize) {
        found.add(quantize);
      }
    }
    return found;
  }

  /// Module paths of the linear layers that stay float.
  List<String> kept() {
    List<String> found = new ArrayList<>();
    for (Decision decision : decisions) {
      if (decision instanceof Decision.Keep keep && keep.linear()) {
        found.add(LayerDecisions.module(keep.tensor().name()));
      }
    }
    return found;
  }

  /// Module paths of all linear layers, in file order.
  List<String> linears() {
    return decisions.stream()
        .filter(decision ->
            switch (decision) {
              case Decision.Keep keep -> keep.linear();
              case Decision.Cast _, Decision.Quantize _ -> true;
            })
        .map(decision -> LayerDecisions.module(decision.tensor().name()))
        .toList();
  }
}
