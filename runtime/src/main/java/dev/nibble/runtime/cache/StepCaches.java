package dev.nibble.runtime.cache;

import java.io.IOException;

/// Rules by their text.
///
/// | rule | parameters, all optional unless said |
/// | --- | --- |
/// | `none` | |
/// | `fbcache` | `threshold`, `warmup` |
/// | `dbcache` | `F`, `B`, `threshold`, `warmup`, `warmup_interval`, `max_cached`, `max_continuous`, `max_accumulated`, `important`, `downsample`, `mask` (`slow`, `medium`, `fast`, `ultra` or bits), `mask_policy` (`dynamic` or `static`), `shared_difference` (0 or 1), `refresh`, `refresh_policy` (`once` or `repeat`), one of `taylorseer` (order), `foca` (1), `dmd` (history); `predict` (`residual` or `hidden`) |
/// | `teacache` | `threshold`, `coefficients` (a name, numbers with colons between, or a JSON file) |
/// | `fora` | `N` |
/// | `taylorseer` | `interval`, `order`, `before`, `after`, `modules` (`attention` or `all`) |
/// | `magcache` | `ratios` (as coefficients; needed), `threshold`, `max_skips`, `retention` |
public final class StepCaches {
  private StepCaches() {}

  /// Reads a rule: `name:key=value,key=value`, such as `dbcache:F=1,B=0,threshold=0.08`. What is
  /// not given has the default of the rule's source. {@link StepCache#spec} writes what this reads.
  ///
  /// @throws IllegalArgumentException for an unknown rule or parameter, or a value that cannot be;
  ///   one line that lists what is valid
  /// @throws IOException if a file that it names cannot be read; the message names the file
  public static StepCache parse(String spec) throws IOException {
    try {
      SpecReader reader = new SpecReader(spec);
      StepCache cache = read(reader);
      reader.end();
      return cache;
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("cache '%s': %s".formatted(spec, e.getMessage()), e);
    }
  }

  private static StepCache read(SpecReader spec) throws IOException {
    return switch (spec.rule()) {
      case "none" -> new NoCache();
      case "fbcache" -> FbCache.read(spec);
      case "dbcache" -> DbCacheSpec.read(spec);
      case "teacache" -> TeaCache.read(spec);
      case "fora" -> Fora.read(spec);
      case "taylorseer" -> TaylorSeerInterval.read(spec);
      case "magcache" -> MagCache.read(spec);
      default ->
          throw new IllegalArgumentException(
              "there is no rule '%s'; there are none, fbcache, dbcache, teacache, fora, taylorseer,"
                      .formatted(spec.rule())
                  + " magcache");
    };
  }
}
