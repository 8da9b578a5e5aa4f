package dev.nibble.formats.quant.storage;

import dev.nibble.formats.Checkpoint;
import java.util.Optional;
import java.util.SequencedMap;

/// A checkpoint whose format itself says how each tensor is quantized, so that neither names nor a
/// configuration have to be read.
public interface SelfDescribing extends Checkpoint {
  /// See {@link QuantStorages#read}.
  SequencedMap<String, LogicalTensor> logicalTensors();

  /// See {@link QuantStorages#quantizedBy}.
  Optional<String> quantizedBy();
}
