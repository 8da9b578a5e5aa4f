package dev.nibble.tools;

import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Shape;
import dev.nibble.formats.gguf.GgufCheckpoint;
import dev.nibble.formats.gguf.GgufTensor;
import dev.nibble.formats.quant.GgmlBlock;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// One line of a listing: a stored tensor, known from headers alone.
///
/// @param type dtype, or the type that a GGUF file names
/// @param shape as stored; of a GGUF file, as the model has it
/// @param scheme the scheme of a quantized weight or its statistics, else empty
/// @param file index of the file
/// @param offset first byte in that file
record ListedTensor(
    String name, String type, Shape shape, long byteSize, String scheme, int file, long offset) {

  /// Every tensor, in file order.
  static List<ListedTensor> of(Checkpoint checkpoint) {
    return checkpoint instanceof GgufCheckpoint gguf ? ofGguf(gguf) : ofStored(checkpoint);
  }

  private static List<ListedTensor> ofGguf(GgufCheckpoint checkpoint) {
    Path path = checkpoint.path();
    List<ListedTensor> listed = new ArrayList<>();
    for (GgufTensor tensor : checkpoint.header().tensors().values()) {
      String scheme = tensor.type().isQuantized() ? new GgmlBlock(tensor.type()).id() : "";
      listed.add(
          new ListedTensor(
              tensor.name(),
              tensor.type().name(),
              checkpoint.header().shape(path, tensor),
              tensor.byteSize(),
              scheme,
              0,
              tensor.offset()));
    }
    return listed;
  }

  private static List<ListedTensor> ofStored(Checkpoint checkpoint) {
    Map<String, String> schemes = StoredSchemes.of(checkpoint.tensors());
    List<ListedTensor> listed = new ArrayList<>();
    checkpoint
        .tensors()
        .values()
        .forEach(tensor ->
            listed.add(
                new ListedTensor(
                    tensor.name(),
                    tensor.dtype().toString(),
                    tensor.shape(),
                    tensor.byteSize(),
                    schemes.getOrDefault(tensor.name(), ""),
                    tensor.file(),
                    tensor.offset())));
    return listed;
  }
}
