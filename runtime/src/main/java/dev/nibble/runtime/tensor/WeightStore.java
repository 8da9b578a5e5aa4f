package dev.nibble.runtime.tensor;

/// Owner of a model's weights on one {@link Backend}. Filled by one thread, then read by any number
/// of sessions until it closes.
public interface WeightStore extends AutoCloseable {
  /// A small parameter (norm weight, bias, pad token) as a float32 tensor.
  ///
  /// @param values row-major; copied
  /// @param dims shape
  Tensor tensor(float[] values, long... dims);

  /// A matrix in its stored form.
  ///
  /// @param name for messages
  LinearWeight linear(String name, WeightSource source);

  /// Bytes that the weights hold: parameters, and matrices in their stored form.
  long byteSize();

  /// What a report should add to how the weights are stored, such as `gptq x 3 decoded to BF16 as
  /// they were loaded`; empty if they are held as they are stored.
  default String remarks() {
    return "";
  }

  @Override
  void close();
}
