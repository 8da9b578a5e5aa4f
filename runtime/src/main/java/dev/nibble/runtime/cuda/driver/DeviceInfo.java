package dev.nibble.runtime.cuda.driver;

/// What a CUDA device is.
///
/// @param ordinal the N of `cuda:N`
/// @param name such as `NVIDIA H100 80GB HBM3`
/// @param major first number of the compute capability, such as 9 of 9.0
/// @param minor second number
/// @param multiprocessors streaming multiprocessors
/// @param totalBytes memory
/// @param l2Bytes second-level cache
/// @param sharedBytesPerBlock shared memory that a block may have when its kernel opts in
public record DeviceInfo(
    int ordinal,
    String name,
    int major,
    int minor,
    int multiprocessors,
    long totalBytes,
    long l2Bytes,
    int sharedBytesPerBlock) {
  /// The compute capability as one number, such as 90 for 9.0.
  public int capability() {
    return 10 * major + minor;
  }

  /// One line for reports.
  public String description() {
    return "cuda:%d, %s, compute capability %d.%d, %d multiprocessors, %d MiB"
        .formatted(ordinal, name, major, minor, multiprocessors, totalBytes >> 20);
  }
}
