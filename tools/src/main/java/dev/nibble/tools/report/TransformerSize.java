package dev.nibble.tools.report;

import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.runtime.RuntimeReport;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;

/// A transformer's weights and their sizes.
///
/// @param name in reports
/// @param path directory or file, as given
/// @param weights how its matrices are stored, such as `nf4 x 100, bf16 x 2`
/// @param fileBytes of its files, headers included
/// @param tensorBytes of its files' tensors
/// @param memoryBytes that its weights hold while it runs
/// @param bitsPerWeight stored bits, statistics included, for each element of its quantized
///   weights; of its matrices where none is quantized; empty if it has no matrix
public record TransformerSize(
    String name,
    Path path,
    String weights,
    long fileBytes,
    long tensorBytes,
    long memoryBytes,
    OptionalDouble bitsPerWeight) {

  /// Measures the files of a transformer that a pipeline has open.
  ///
  /// @param path directory or file
  /// @param open what the pipeline says of it
  /// @throws IOException if a file can't be read; the message names it
  public static TransformerSize of(String name, Path path, RuntimeReport.Component open)
      throws IOException {
    try (OpenModel model = OpenModel.open(path)) {
      long files = model.checkpoint().files().stream().mapToLong(CheckpointFile::size).sum();
      long tensors =
          model.checkpoint().tensors().values().stream().mapToLong(TensorInfo::byteSize).sum();
      return new TransformerSize(
          name, path, open.weights(), files, tensors, open.weightBytes(), bitsPerWeight(model));
    }
  }

  private static OptionalDouble bitsPerWeight(OpenModel model) {
    long quantizedBytes = 0;
    long quantized = 0;
    long denseBytes = 0;
    long dense = 0;
    for (LogicalTensor tensor : model.tensors().values()) {
      switch (tensor) {
        case LogicalTensor.Quantized weight -> {
          quantizedBytes += weight.stored().stream().mapToLong(TensorInfo::byteSize).sum();
          quantized += weight.tensor().shape().elements();
        }
        case LogicalTensor.Dense(TensorInfo info) when info.shape().rank() >= 2 -> {
          denseBytes += info.byteSize();
          dense += info.shape().elements();
        }
        case LogicalTensor.Dense _ -> {}
      }
    }
    if (quantized > 0) {
      return OptionalDouble.of(8.0 * quantizedBytes / quantized);
    }
    return dense > 0 ? OptionalDouble.of(8.0 * denseBytes / dense) : OptionalDouble.empty();
  }

  /// What is to be said where two transformers are of one size.
  ///
  /// @return empty if their tensors differ in size
  Optional<String> sameAs(TransformerSize first) {
    if (fileBytes == first.fileBytes) {
      return Optional.of(
          "%s is as large as %s to the byte: %s bytes"
              .formatted(name, first.name, ByteSize.exact(fileBytes)));
    }
    if (tensorBytes == first.tensorBytes) {
      return Optional.of(
          "%s has tensors as large as %s to the byte, %s bytes; their files' headers differ by %s"
              .formatted(
                  name,
                  first.name,
                  ByteSize.exact(tensorBytes),
                  ByteSize.exact(Math.abs(fileBytes - first.fileBytes))));
    }
    return Optional.empty();
  }
}
