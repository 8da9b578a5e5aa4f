package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/// Forecast, then calibrate: features as the solution of a differential equation, advanced by the
/// trapezoidal rule from the last computed step (FoCa, arXiv:2508.16211).
///
/// With `F` the value of the last computed step `s*`, `F'` of the one before, K and `K'` the last
/// two values of any kind (computed or predicted), `e = s - s*` and `d = (F - F') + (K - K')`:
/// * `e <= 3`: `F + (e / 2) · d`.
/// * `e > 3`, with `w = 3 / e`: `w · (F + 1.5 · d) + (1 - w) · F`.
/// * Fewer than two computed steps: F.
///
/// A prediction becomes K, and K becomes `K'` (not the plain copy of F with fewer than two).
///
/// Source: vipshop/cache-dit `src/cache_dit/caching/cache_contexts/calibrators/foca.py`.
public record FoCa() implements Calibrator {
  private static final float HORIZON = 3;

  @Override
  public Forecaster start(Ops session) {
    return new State(session);
  }

  private static final class State implements Forecaster {
    private final Ops session;

    /// Last computed values, the newest first, at most two.
    private List<Tensor> computed = List.of();

    /// Last values of any kind, the newest first, at most two. Shares tensors with the computed.
    private List<Tensor> recent = List.of();

    private int last;

    State(Ops session) {
      this.session = session;
    }

    @Override
    public void observe(int step, Tensor value) {
      if (!recent.isEmpty() && !recent.getFirst().shape().equals(value.shape())) {
        clear();
      }
      Tensor copy = session.persist(value);
      retain(pushed(copy, computed), pushed(copy, recent));
      last = step;
    }

    @Override
    public Tensor predict(int step, Ops ops) {
      if (computed.isEmpty()) {
        throw new IllegalStateException("nothing was computed yet");
      }
      if (computed.size() < 2) {
        return ops.linearCombination(new float[] {1}, computed);
      }
      float elapsed = step - last;
      // Beyond the horizon, w * 1.5 = (3 / e) * (3 / 2).
      float half = elapsed <= HORIZON ? elapsed / 2 : HORIZON / elapsed * (HORIZON / 2);
      Tensor predicted;
      try (Region region = ops.region()) {
        Tensor change =
            ops.add(
                ops.sub(computed.getFirst(), computed.getLast()),
                ops.sub(recent.getFirst(), recent.getLast()));
        predicted =
            region.keep(
                ops.linearCombination(new float[] {1, half}, List.of(computed.getFirst(), change)));
      }
      retain(computed, pushed(session.persist(predicted), recent));
      return predicted;
    }

    @Override
    public void clear() {
      retain(List.of(), List.of());
    }

    private static List<Tensor> pushed(Tensor newest, List<Tensor> older) {
      return older.isEmpty() ? List.of(newest) : List.of(newest, older.getFirst());
    }

    /// Takes other values, and releases those that it no longer holds.
    private void retain(List<Tensor> newComputed, List<Tensor> newRecent) {
      Set<Tensor> gone = new LinkedHashSet<>(computed);
      gone.addAll(recent);
      gone.removeAll(newComputed);
      gone.removeAll(newRecent);
      computed = newComputed;
      recent = newRecent;
      gone.forEach(session::release);
    }
  }
}
