package dev.nibble.converter.internal;

import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.quant.storage.StoredTensor;
import dev.nibble.formats.safetensors.LateTensor;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.TensorSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// One output file with the layout of its bytes.
record ShardPlan(OutputFile file, SafetensorsLayout layout) {
  static ShardPlan of(OutputFile file, Map<String, String> metadata) {
    List<TensorSpec> fixed = new ArrayList<>();
    List<LateTensor> late = new ArrayList<>();
    for (TensorPlan tensor : file.tensors()) {
      switch (tensor) {
        case TensorPlan.Keep keep ->
            fixed.add(
                new TensorSpec(keep.source().name(), keep.source().dtype(), keep.source().shape()));
        case TensorPlan.Cast cast ->
            fixed.add(new TensorSpec(cast.source().name(), cast.target(), cast.source().shape()));
        case TensorPlan.Quantize quantize ->
            quantize.stored().forEach(stored -> add(stored, fixed, late));
      }
    }
    return new ShardPlan(file, SafetensorsLayout.plan(fixed, late, metadata));
  }

  private static void add(StoredTensor stored, List<TensorSpec> fixed, List<LateTensor> late) {
    switch (stored.content()) {
      case StoredTensor.PartContent part ->
          fixed.add(new TensorSpec(stored.name(), part.dtype(), part.shape()));
      case StoredTensor.Constant constant ->
          fixed.add(new TensorSpec(stored.name(), constant.dtype(), constant.shape()));
      case StoredTensor.Document document ->
          late.add(new LateTensor(stored.name(), document.maxLength()));
    }
  }

  /// Names of the tensors in this file.
  List<String> tensorNames() {
    List<String> names = new ArrayList<>();
    for (TensorPlan tensor : file.tensors()) {
      switch (tensor) {
        case TensorPlan.Keep keep -> names.add(keep.source().name());
        case TensorPlan.Cast cast -> names.add(cast.source().name());
        case TensorPlan.Quantize quantize ->
            quantize.stored().forEach(stored -> names.add(stored.name()));
      }
    }
    return names;
  }
}
