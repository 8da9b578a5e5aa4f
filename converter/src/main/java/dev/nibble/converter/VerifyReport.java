package dev.nibble.converter;

import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.QuantError;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;

/// How two checkpoints differ.
///
/// @param firstFiles files of the first
/// @param secondFiles files of the second
/// @param tensors tensors of equal name and shape, in the order of the first
/// @param onlyFirst names that the second lacks
/// @param onlySecond names that the first lacks
/// @param reshaped tensors of equal name whose shapes differ
/// @param nanos wall time
public record VerifyReport(
    List<Path> firstFiles,
    List<Path> secondFiles,
    List<Tensor> tensors,
    List<String> onlyFirst,
    List<String> onlySecond,
    List<Reshaped> reshaped,
    long nanos) {

  /// A tensor that both have.
  ///
  /// @param first scheme or dtype in the first checkpoint
  /// @param second scheme or dtype in the second
  /// @param bytesFirst its bytes in the first, statistics included
  /// @param bytesSecond its bytes in the second
  /// @param identical same dtype or scheme, and the same bytes
  /// @param error of the second against the first, both as float32; infinite where one has a number
  ///   and the other has none, or where types that hold no plain floats differ
  public record Tensor(
      String name,
      Shape shape,
      String first,
      String second,
      long bytesFirst,
      long bytesSecond,
      boolean identical,
      QuantError error) {}

  /// A name with two shapes.
  public record Reshaped(String name, Shape first, Shape second) {}

  public VerifyReport {
    firstFiles = List.copyOf(firstFiles);
    secondFiles = List.copyOf(secondFiles);
    tensors = List.copyOf(tensors);
    onlyFirst = List.copyOf(onlyFirst);
    onlySecond = List.copyOf(onlySecond);
    reshaped = List.copyOf(reshaped);
  }

  /// Whether both have the same names with the same shapes.
  public boolean sameTensors() {
    return onlyFirst.isEmpty() && onlySecond.isEmpty() && reshaped.isEmpty();
  }

  /// Whether every tensor is stored with the same bytes.
  public boolean identical() {
    return sameTensors() && tensors.stream().allMatch(Tensor::identical);
  }

  /// The error over all tensors together.
  public QuantError overall() {
    return tensors.stream().map(Tensor::error).reduce(QuantError.NONE, QuantError::plus);
  }

  /// The tensors that differ in value, by relative error, worst first.
  public List<Tensor> worst(int count) {
    return tensors.stream()
        .filter(tensor -> tensor.error().maxError() > 0)
        .sorted(Comparator.comparingDouble((Tensor tensor) -> tensor.error().snrDb()))
        .limit(count)
        .toList();
  }
}
