package dev.nibble.runtime.tensor;

/// A scope of memory of an {@link Ops}: what is computed while it is the innermost open region is
/// given back when it closes, except what was kept. Regions close in reverse order of opening, so
/// use try-with-resources.
///
/// ```java
/// Tensor gate(Tensor x, Ops ops) {
///   try (Region region = ops.region()) {
///     Tensor hidden = ops.linear(x, weight, bias);
///     return region.keep(ops.unary(Unary.SILU, hidden));
///   }
/// }
/// ```
public interface Region extends AutoCloseable {
  /// Hands the tensor's buffer to the surrounding region. A tensor that this region does not own is
  /// returned as it is.
  Tensor keep(Tensor tensor);

  @Override
  void close();
}
