package dev.nibble.runtime.cache;

import dev.nibble.runtime.cache.StepMask.Preset;
import java.util.Arrays;

/// The masks of cache-dit's `steps_mask(total_steps, mask_policy)`: runs of computed and of reused
/// steps in turn, made for 28 steps and stretched or cut to others.
///
/// * More than 28 steps: in turn, each run grows by `max(trunc(its length for 28 · steps / 28 / 2),
///   1)`, the unpaired last computed run by 1, round after round until they cover the steps; then
///   cut.
/// * 16 to 27: cut.
/// * 8, 9 and 10 to 15: runs of their own, cut. 4 and 6: one mask for all presets. Others: none.
///
/// Cutting takes one step off the last reused run, one off the last computed run, in turn, until
/// the sum fits; a run that reaches 0 is dropped. The last step is always computed.
///
/// Source: vipshop/cache-dit `src/cache_dit/caching/cache_interface.py`.
final class MaskPresets {
  private MaskPresets() {}

  /// Lengths of runs.
  private static final class Runs {
    final int[] compute;
    final int[] reuse;

    Runs(int[] compute, int[] reuse) {
      this.compute = compute;
      this.reuse = reuse;
    }

    int sum() {
      return Arrays.stream(compute).sum() + Arrays.stream(reuse).sum();
    }
  }

  static String bits(Preset preset, int steps) {
    Runs runs =
        switch (steps) {
          case 4 -> runs("2 1", "1");
          case 6 -> runs("3 1", "2");
          case 8 -> of8(preset);
          case 9 -> of9(preset);
          default -> {
            if (steps < 8) {
              throw new IllegalArgumentException(
                  "the mask '%s' exists for 4, 6 and for 8 steps or more, not for %d"
                      .formatted(preset.text(), steps));
            }
            yield steps < 16 ? of15(preset) : stretched(of28(preset), steps);
          }
        };
    cut(runs, steps);
    String mask = StepMask.ofBins(runs.compute, runs.reuse, steps).text();
    return mask.substring(0, steps - 1) + "1";
  }

  private static Runs of28(Preset preset) {
    return switch (preset) {
      case SLOW -> runs("8 3 3 2 1 1", "1 2 2 2 3");
      case MEDIUM -> runs("6 2 2 2 2 1", "1 3 3 3 3");
      case FAST -> runs("6 1 1 1 1 1", "1 3 4 5 4");
      case ULTRA -> runs("4 1 1 1 1", "2 5 6 7");
    };
  }

  private static Runs of15(Preset preset) {
    return switch (preset) {
      case SLOW -> runs("4 2 2 2 1", "1 1 1 1");
      case MEDIUM -> runs("4 2 1 1 1", "1 1 2 2");
      case FAST -> runs("3 1 1 1 1", "1 2 2 3");
      case ULTRA -> runs("2 1 1 1 1", "1 2 3 3");
    };
  }

  /// Z-Image-Turbo's number of steps.
  private static Runs of9(Preset preset) {
    return switch (preset) {
      case SLOW -> runs("5 2 1", "1");
      case MEDIUM -> runs("5 1 1", "1 1");
      case FAST -> runs("4 1 1", "1 2");
      case ULTRA -> runs("3 1 1", "2 2");
    };
  }

  private static Runs of8(Preset preset) {
    return switch (preset) {
      case SLOW -> runs("5 1 1", "1");
      case MEDIUM -> runs("4 1 1", "1 1");
      case FAST -> runs("3 1 1", "1 2");
      case ULTRA -> runs("2 1 1", "2 2");
    };
  }

  private static Runs stretched(Runs runs, int steps) {
    Runs grown = new Runs(runs.compute.clone(), runs.reuse.clone());
    while (grown.sum() < steps) {
      for (int i = 0; i < runs.reuse.length; i++) {
        grow(grown.compute, i, runs.compute[i], grown, steps);
        grow(grown.reuse, i, runs.reuse[i], grown, steps);
      }
      if (grown.sum() < steps) {
        grown.compute[grown.compute.length - 1]++;
      }
    }
    return grown;
  }

  private static void grow(int[] lengths, int i, int original, Runs all, int steps) {
    if (all.sum() < steps) {
      lengths[i] += Math.max((int) (original * (steps / 28.0 * 0.5)), 1);
    }
  }

  private static void cut(Runs runs, int steps) {
    boolean reuse = true;
    for (int over = runs.sum() - steps; over > 0; over--, reuse = !reuse) {
      int[] lengths = reuse ? runs.reuse : runs.compute;
      int last = lengths.length - 1;
      while (last > 0 && lengths[last] == 0) {
        last--;
      }
      lengths[last]--;
    }
  }

  private static Runs runs(String compute, String reuse) {
    return new Runs(lengths(compute), lengths(reuse));
  }

  private static int[] lengths(String text) {
    return Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
  }
}
