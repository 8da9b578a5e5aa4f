package dev.nibble.runtime.cache;

import dev.nibble.runtime.cache.DbCache.Forecast;
import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import java.util.Optional;

/// What {@link DbCache} keeps of its middle blocks.
sealed interface MiddleStore {
  /// Takes note of a computed step.
  ///
  /// @param before state before the middle blocks
  /// @param after state after them
  void observe(int step, BlockState before, BlockState after, Ops ops);

  /// The state after the middle blocks.
  BlockState predict(int step, BlockState before, Ops ops);

  /// Gives its memory back.
  void clear();

  static MiddleStore of(Optional<Forecast> forecast, Ops session) {
    return forecast.isPresent()
        ? new Predicted(
            forecast.get().hiddenStates(),
            forecast.get().calibrator().start(session),
            forecast.get().calibrator().start(session))
        : new Reused(new Kept(session));
  }

  /// The residual of the last computed step.
  record Reused(Kept residual) implements MiddleStore {
    @Override
    public void observe(int step, BlockState before, BlockState after, Ops ops) {
      try (Region _ = ops.region()) {
        residual.set(Residuals.between(before, after, ops));
      }
    }

    @Override
    public BlockState predict(int step, BlockState before, Ops ops) {
      return Residuals.add(before, residual.get().orElseThrow(), ops);
    }

    @Override
    public void clear() {
      residual.clear();
    }
  }

  /// The residual, or the state itself, as calibrators foresee it.
  record Predicted(boolean hiddenStates, Forecaster hidden, Forecaster encoder)
      implements MiddleStore {
    @Override
    public void observe(int step, BlockState before, BlockState after, Ops ops) {
      try (Region _ = ops.region()) {
        BlockState value = hiddenStates ? after : Residuals.between(before, after, ops);
        hidden.observe(step, value.hidden());
        value.encoder().ifPresent(text -> encoder.observe(step, text));
      }
    }

    @Override
    public BlockState predict(int step, BlockState before, Ops ops) {
      try (Region region = ops.region()) {
        BlockState value =
            new BlockState(
                hidden.predict(step, ops), before.encoder().map(_ -> encoder.predict(step, ops)));
        return Residuals.keep(region, hiddenStates ? value : Residuals.add(before, value, ops));
      }
    }

    @Override
    public void clear() {
      hidden.clear();
      encoder.clear();
    }
  }
}
