package dev.nibble.converter;

import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.StoredTensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// Adds to a plan the tensors that a file has once, whatever its weights: they go with the first
/// weight of their storage.
final class FileMarkers {
  private FileMarkers() {}

  static List<TensorPlan> add(List<TensorPlan> tensors) {
    Map<QuantStorage, SequencedMap<String, QuantScheme>> weights = new LinkedHashMap<>();
    for (TensorPlan tensor : tensors) {
      if (tensor instanceof TensorPlan.Quantize weight) {
        weights
            .computeIfAbsent(weight.storage(), _ -> new LinkedHashMap<>())
            .put(weight.source().name(), weight.quantScheme());
      }
    }
    Map<String, StoredTensor> markers = new LinkedHashMap<>();
    weights.forEach((storage, schemes) ->
        storage
            .fileMarker(schemes)
            .ifPresent(marker -> markers.put(schemes.firstEntry().getKey(), marker)));
    return tensors.stream().map(tensor -> marked(tensor, markers)).toList();
  }

  private static TensorPlan marked(TensorPlan tensor, Map<String, StoredTensor> markers) {
    StoredTensor marker = markers.get(tensor.source().name());
    if (marker == null || !(tensor instanceof TensorPlan.Quantize weight)) {
      return tensor;
    }
    List<StoredTensor> stored = new ArrayList<>(weight.stored());
    stored.add(marker);
    return new TensorPlan.Quantize(
        weight.source(),
        weight.quantScheme(),
        weight.storage(),
        stored,
        weight.reason(),
        weight.calibrated());
  }
}
