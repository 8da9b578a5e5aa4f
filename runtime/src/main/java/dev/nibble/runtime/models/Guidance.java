package dev.nibble.runtime.models;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;

/// Classifier-free guidance as a family's pipeline does it (Ho and Salimans, arXiv:2207.12598).
public interface Guidance {
  /// Whether prompt and negative prompt go through the transformer as one batch, for which a step
  /// cache decides once, rather than one after the other with a cache state each.
  boolean batched();

  /// Guidance scale where a request names none.
  double defaultScale();

  /// Whether a scale asks for a second prediction at all.
  boolean active(double scale);

  /// Whether the step at this noise level is guided.
  boolean activeAt(float sigma, GuidanceOptions options);

  /// Joins the predictions, `[1, C, h, w]` each.
  Tensor combine(Tensor positive, Tensor negative, GuidanceOptions options, Ops ops);
}
