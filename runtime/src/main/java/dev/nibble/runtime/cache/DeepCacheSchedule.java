package dev.nibble.runtime.cache;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/// When DeepCache runs a whole UNet, and what it leaves out otherwise (arXiv:2312.00858). The steps
/// that are not full reuse the deep features of the last full one.
///
/// Source: horseee/DeepCache `DeepCache/extension/deepcache.py` and
/// `DeepCache/sd/pipeline_stable_diffusion.py`.
///
/// @param fullSteps indices of the full steps, ascending, 0 first
public record DeepCacheSchedule(List<Integer> fullSteps) {
  private static final double POWER_STEP = 0.02;

  /// A layer of a UNet.
  public enum Part {
    /// Down block i from the input, layer j in order of execution: residual layers (each with its
    /// attention), then the downsampler.
    DOWN,
    MIDDLE,
    /// Up block i from the output, layer j from its output end.
    UP,
    /// First convolution, time embedding, last norm and convolution.
    OUTSIDE
  }

  public DeepCacheSchedule {
    fullSteps = List.copyOf(fullSteps);
  }

  /// Every N-th step from the first.
  public static DeepCacheSchedule uniform(int steps, int interval) {
    Checks.atLeast("interval", interval, 1);
    List<Integer> full = new ArrayList<>();
    for (int step = 0; step < steps; step += interval) {
      full.add(step);
    }
    return new DeepCacheSchedule(full);
  }

  /// `ceil(steps / interval)` steps that lie closer together near a centre.
  ///
  /// `K + 1` points are spaced equally between `(-c)^(1/p)` and `(S - c)^(1/p)` in the complex
  /// plane, raised to the power p and cut to whole numbers, the imaginary part dropped; sorted,
  /// without repetition and without the first and the last, they are added to c. 0 comes before
  /// them. Where that gives fewer than K steps, p is lowered by 0.02 until it does. (The source
  /// takes a negative number to a broken power; that its numbers become complex is hardly meant,
  /// but its published schedules are made so.)
  ///
  /// @param centre c, above 0
  /// @param power p, above 1
  /// @throws IllegalArgumentException if no power above 1 gives K steps
  public static DeepCacheSchedule nonUniform(int steps, int interval, int centre, double power) {
    Checks.atLeast("interval", interval, 1);
    Checks.between("centre", centre, 1, steps - 1);
    int count = Math.ceilDiv(steps, interval);
    for (double p = power; p > 1; p -= POWER_STEP) {
      List<Integer> full = around(steps, count, centre, p);
      if (full.size() == count) {
        return new DeepCacheSchedule(full);
      }
    }
    throw new IllegalArgumentException(
        "no %d of %d steps around %d with power %s"
            .formatted(count, steps, centre, SpecWriter.text(power)));
  }

  private static List<Integer> around(int steps, int count, int centre, double p) {
    Complex from = new Complex(-centre, 0).power(1 / p);
    Complex to = new Complex(steps - centre, 0).power(1 / p);
    TreeSet<Integer> distances = new TreeSet<>();
    for (int i = 0; i <= count; i++) {
      Complex point = from.plus(to.minus(from).times((double) i / count));
      distances.add((int) (i == count ? to : point).power(p).re());
    }
    distances.pollFirst();
    distances.pollLast();
    List<Integer> full = new ArrayList<>();
    full.add(0);
    distances.forEach(distance -> full.add(distance + centre));
    return full;
  }

  /// Whether a step runs the whole UNet.
  public boolean full(int step) {
    return fullSteps.contains(step);
  }

  /// Whether a layer is left out, and its output of the last full step taken, at a step that is not
  /// full.
  ///
  /// With `k = branch div 3` and `l = branch mod 3` (three layers a down block: two residual layers
  /// and the downsampler): the middle always; down block i, layer j if `i > k`, or `i = k` and `j
  /// > = l`; up block i, layer j if `i > k`, or `i = k` and `j > l`; nothing outside of the blocks.
  /// > So branch 0 computes the last layer of the last up block alone; a larger branch computes
  /// > more.
  ///
  /// @param branch `cache_branch_id`, index of the skip connection whose deeper features are
  ///   reused, 0 the shallowest
  /// @param block i
  /// @param layer j
  public static boolean skips(int branch, Part part, int block, int layer) {
    int k = branch / 3;
    int l = branch % 3;
    return switch (part) {
      case MIDDLE -> true;
      case OUTSIDE -> false;
      case DOWN -> block > k || (block == k && layer >= l);
      case UP -> block > k || (block == k && layer > l);
    };
  }
}
