package dev.nibble.formats.gguf;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.ggml.GgmlType;
import dev.nibble.formats.quant.storage.GgufStorage;
import dev.nibble.formats.quant.storage.LogicalTensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/// The tensors of a GGUF file as the model knows them: each has its type in the header, and weights
/// whose rows were cut anew get back the shape they had.
final class GgufWeights {
  /// A file does not say what its weights were made from; image models are published in BF16.
  private static final DType ORIGINAL = DType.BF16;

  private GgufWeights() {}

  static SequencedMap<String, LogicalTensor> read(GgufCheckpoint checkpoint) {
    SequencedMap<String, LogicalTensor> result = new LinkedHashMap<>();
    for (TensorInfo stored : checkpoint.tensors().values()) {
      GgufTensor tensor = tensor(checkpoint, stored);
      result.put(
          stored.name(),
          tensor.type().isQuantized()
              ? quantized(checkpoint, tensor, stored)
              : new LogicalTensor.Dense(stored));
    }
    return result;
  }

  private static GgufTensor tensor(GgufCheckpoint checkpoint, TensorInfo stored) {
    GgufTensor tensor = checkpoint.header().tensors().get(stored.name());
    if (tensor == null) {
      throw new AssertionError(stored);
    }
    return tensor;
  }

  private static LogicalTensor quantized(
      GgufCheckpoint checkpoint, GgufTensor tensor, TensorInfo stored) {
    Shape shape = checkpoint.header().shape(checkpoint.path(), tensor);
    QuantizedTensor weight =
        new QuantizedTensor(
            new GgmlBlock(tensor.type()),
            shape,
            ORIGINAL,
            Map.of(Part.CODES, checkpoint.data(stored)));
    return new LogicalTensor.Quantized(tensor.name(), weight, new GgufStorage(), List.of(stored));
  }

  /// The quantized types of a file, if there are any: `GGUF (Q4_K, Q6_K)`.
  static Optional<String> origin(GgufCheckpoint checkpoint) {
    TreeSet<GgmlType> types =
        checkpoint.header().tensors().values().stream()
            .map(GgufTensor::type)
            .filter(GgmlType::isQuantized)
            .collect(Collectors.toCollection(TreeSet::new));
    return types.isEmpty()
        ? Optional.empty()
        : Optional.of(
            types.stream().map(GgmlType::name).collect(Collectors.joining(", ", "GGUF (", ")")));
  }
}
