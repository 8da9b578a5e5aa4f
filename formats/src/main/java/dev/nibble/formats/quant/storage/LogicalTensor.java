package dev.nibble.formats.quant.storage;

import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.QuantizedTensor;
import java.util.List;

/// A tensor as the model knows it: one of the file, or a quantized weight that several hold.
public sealed interface LogicalTensor {
  /// Its name in the model; for a quantized weight that of its codes, `P.weight`.
  String name();

  /// A tensor that is stored as it is.
  record Dense(TensorInfo info) implements LogicalTensor {
    @Override
    public String name() {
      return info.name();
    }
  }

  /// A quantized weight.
  ///
  /// @param name full name, ending in `.weight`
  /// @param tensor what it decodes from; borrows the checkpoint and the arena it was read with
  /// @param storage in which it is stored
  /// @param stored the tensors of the file that hold it, codes first
  record Quantized(
      String name, QuantizedTensor tensor, QuantStorage storage, List<TensorInfo> stored)
      implements LogicalTensor {
    public Quantized {
      stored = List.copyOf(stored);
    }
  }
}
