package dev.nibble.runtime.cuda;

/// How a {@link CudaBackend} computes.
///
/// @param precision of products and of what flows into them
/// @param memoryLimitBytes most device memory that weights and sessions may hold together
public record CudaOptions(Precision precision, long memoryLimitBytes) {
  /// bfloat16 products, and all the memory there is.
  public static final CudaOptions DEFAULT = new CudaOptions(Precision.BF16, Long.MAX_VALUE);

  /// Kinds of arithmetic.
  public enum Precision {
    /// Products take bfloat16 and sum in float32; norms and products of bfloat16 give bfloat16; the
    /// residual stream, and whatever a host brings, stays float32.
    BF16,
    /// Everything in float32, for comparisons with the CPU: slow.
    F32
  }

  /// These options with another precision.
  public CudaOptions withPrecision(Precision other) {
    return new CudaOptions(other, memoryLimitBytes);
  }

  /// These options with a limit of memory.
  public CudaOptions withMemoryLimit(long bytes) {
    return new CudaOptions(precision, bytes);
  }
}
