package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// A distance of two pictures in the manner of LPIPS (Zhang et al., "The Unreasonable Effectiveness
/// of Deep Features as a Perceptual Metric", arXiv:1801.03924), called `vae-lpips` here: the
/// features of a trained network, scaled to unit length over the channels of each position; the
/// squared length of their difference; the mean over positions, then over levels.
///
/// ```
/// d(a, b) = mean over levels l of  mean over positions p of  |f_l(a)_p/|f_l(a)_p| - f_l(b)_p/|f_l(b)_p||²
/// ```
///
/// The network is the pipeline's own encoder, and f_l what its resolution level l gives: a network
/// that every pipeline has, where LPIPS proper needs one of 233 to 528 MB more (AlexNet, VGG). The
/// weights of levels and channels are uniform: LPIPS learned its own from what people said looks
/// alike. So: 0 for equal pictures, symmetric, from 0 to 4, larger for damage that the encoder
/// sees; to compare pictures of one pipeline with each other. Not LPIPS, not on its scale, not
/// calibrated on people, and not to be compared between autoencoders.
final class PerceptualDistance {
  /// Keeps positions without features from dividing by nothing, as in LPIPS.
  private static final float EPSILON = 1e-10f;

  private PerceptualDistance() {}

  /// Runs both pictures through the levels side by side, so that no more than one level's features
  /// of each are held.
  ///
  /// @param first `[1, H, W, 3]`, borrowed
  /// @param second as `first`
  static double between(Tensor first, Tensor second, List<Coder> levels, Ops ops) {
    try (Region _ = ops.region()) {
      double sum = 0;
      Tensor a = first;
      Tensor b = second;
      for (int level = 0; level < levels.size(); level++) {
        Tensor nextA = levels.get(level).apply(a, ops);
        Tensor nextB = levels.get(level).apply(b, ops);
        if (level > 0) {
          ops.release(a);
          ops.release(b);
        }
        a = nextA;
        b = nextB;
        sum += ofFeatures(a, b, ops);
      }
      return sum / levels.size();
    }
  }

  /// Mean over positions of the squared distance of unit vectors.
  ///
  /// @param a `[1, H, W, C]`
  private static double ofFeatures(Tensor a, Tensor b, Ops ops) {
    try (Region _ = ops.region()) {
      Tensor unitA = unit(a, ops);
      Tensor unitB = unit(b, ops);
      Tensor difference = ops.sub(unitA, unitB);
      ops.release(unitA);
      ops.release(unitB);
      return ops.dot(difference, difference) / ((double) a.dim(1) * a.dim(2));
    }
  }

  private static Tensor unit(Tensor features, Ops ops) {
    try (Region region = ops.region()) {
      Tensor lengths = ops.affine(ops.rowNorm(features), 1, EPSILON);
      return region.keep(ops.div(features, lengths));
    }
  }
}
