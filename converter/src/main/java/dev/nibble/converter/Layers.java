package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import java.util.ArrayList;
import java.util.List;

/// What becomes of every tensor.
///
/// @param decisions in file order
record Layers(List<Decision> decisions) {
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
