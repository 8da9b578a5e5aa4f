package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Finite differences of a tensor over computed steps, and the Taylor series that they make. Holds
/// `order + 1` tensors, twice as many while it takes note of another.
final class TaylorLadder implements Forecaster {
  private final Ops session;
  private final int order;
  private final int quietSteps;

  private List<Tensor> terms = List.of();
  private int first;
  private int last;

  /// @param quietSteps steps after the first observation in which no differences are made
  TaylorLadder(Ops session, int order, int quietSteps) {
    this.session = session;
    this.order = order;
    this.quietSteps = quietSteps;
  }

  @Override
  public void observe(int step, Tensor value) {
    if (!terms.isEmpty() && !terms.getFirst().shape().equals(value.shape())) {
      clear();
    }
    if (terms.isEmpty()) {
      first = step;
    }
    List<Tensor> next = new ArrayList<>();
    next.add(session.persist(value));
    int differences = step - first > quietSteps ? Math.min(order, terms.size()) : 0;
    for (int i = 0; i < differences; i++) {
      try (Region _ = session.region()) {
        Tensor change = session.sub(next.get(i), terms.get(i));
        next.add(session.persist(session.affine(change, 1f / (step - last), 0)));
      }
    }
    terms.forEach(session::release);
    terms = next;
    last = step;
  }

  @Override
  public Tensor predict(int step, Ops ops) {
    if (terms.isEmpty()) {
      throw new IllegalStateException("nothing was computed yet");
    }
    float[] coefficients = new float[terms.size()];
    double coefficient = 1;
    for (int i = 0; i < coefficients.length; i++) {
      coefficients[i] = (float) coefficient;
      coefficient *= (double) (step - last) / (i + 1);
    }
    return ops.linearCombination(coefficients, terms);
  }

  @Override
  public void clear() {
    terms.forEach(session::release);
    terms = List.of();
  }
}
