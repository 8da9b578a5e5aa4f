package dev.nibble.converter.algorithm;

import dev.nibble.formats.quant.GridEncoder;

/// Fits the grid of a group to its values: as the scheme does, or with the extremes pulled in as
/// far as the squared error of rounding to nearest becomes least (GPTQModel's `mse`; what AWQ calls
/// clipping, without looking at inputs). For one thread.
final class ScaleFit {
  /// Extremes tried: all of them, 0.98 of them, to 0.74; a little beyond them too, since the outer
  /// steps of a codebook are the widest.
  private static final int TRIES = 16;

  private static final float MOST = 1.04f;
  private static final float STEP = 0.02f;

  private final GridEncoder grid;
  private final boolean searches;
  private final float[] scaled;

  /// @param searches whether to look for the best extremes
  ScaleFit(GridEncoder grid, boolean searches) {
    this.grid = grid;
    this.searches = searches;
    this.scaled = new float[searches ? grid.groupSize() : 0];
  }

  /// As {@link GridEncoder#fit}.
  GridEncoder.Grid fit(long group, float[] values, int at) {
    GridEncoder.Grid plain = grid.fit(group, values, at);
    if (!searches) {
      return plain;
    }
    double least = error(plain, values, at);
    float best = 1;
    for (int i = 0; i < TRIES; i++) {
      float share = MOST - i * STEP;
      double error = error(fit(group, values, at, share), values, at);
      if (error < least) {
        least = error;
        best = share;
      }
    }
    return best == 1 ? grid.fit(group, values, at) : fit(group, values, at, best);
  }

  private GridEncoder.Grid fit(long group, float[] values, int at, float share) {
    for (int i = 0; i < scaled.length; i++) {
      scaled[i] = values[at + i] * share;
    }
    return grid.fit(group, scaled, 0);
  }

  private double error(GridEncoder.Grid tried, float[] values, int at) {
    double sum = 0;
    for (int i = 0; i < scaled.length; i++) {
      float difference = tried.value(tried.nearest(values[at + i])) - values[at + i];
      sum += difference * difference;
    }
    return sum;
  }
}
