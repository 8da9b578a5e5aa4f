package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;

/// Dynamic mode decomposition: the values of equally spaced computed steps as powers of a linear
/// propagator, found by least squares, and continued (Schmid 2010, Journal of Fluid Mechanics 656).
///
/// Of the last `history` computed values, take the longest tail of equal spacing h. With at least 4
/// of them, `x_1 .. x_n`, for each item of the batch apart: `X = [x_1 .. x_(n-1)] = U S Vᵀ`, `X' =
/// [x_2 .. x_n]`, of S the values above 1e-4 of the largest (or the `rank` largest), `Ã = Uᵀ X' V
/// (S + ridge)^-1 = W Λ W^-1`, `Φ = X' V (S + ridge)^-1 W`, b the least squares solution of `Φ b =
/// x_n`. The value e steps after the last is `Re Φ Λ^(e/h) b`; the last value where that is not
/// finite. With fewer than 4: `x_n + (x_n - x_(n-2)) · e / h`, with h the last spacing; `x_n` where
/// `x_(n-2)` does not exist or `x_n` is of the first three steps. (The source means {@link
/// TaylorSeer} there, but takes the difference to the last value but two. It is kept, since the
/// published results were made with it.)
///
/// The result is a linear combination of `x_2 .. x_n`, and its coefficients follow from the
/// products `x_iᵀ x_j` alone: no matrix as long as a tensor is made.
///
/// Source: vipshop/cache-dit `src/cache_dit/caching/cache_contexts/calibrators/dmd.py`, which goes
/// through a singular value decomposition of X.
///
/// @param history computed values that are kept; 6 by default
/// @param rank 0 for as many as the spectrum says
/// @param ridge added to singular values before they are inverted; 1e-8 by default
public record Dmd(int history, int rank, double ridge) implements Calibrator {
  static final Dmd DEFAULT = new Dmd(6, 0, 1e-8);

  public Dmd {
    Checks.between("dmd", history, 4, 16);
    Checks.atLeast("dmd rank", rank, 0);
    Checks.atLeast("dmd ridge", ridge, 0);
  }

  /// This calibrator with another number of values.
  public Dmd withHistory(int value) {
    return new Dmd(value, rank, ridge);
  }

  @Override
  public Forecaster start(Ops session) {
    return new DmdForecaster(this, session);
  }
}
