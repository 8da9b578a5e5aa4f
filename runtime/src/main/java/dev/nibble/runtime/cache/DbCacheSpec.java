package dev.nibble.runtime.cache;

import dev.nibble.runtime.cache.DbCache.Forecast;
import dev.nibble.runtime.cache.DbCache.Limits;
import dev.nibble.runtime.cache.DbCache.Mask;
import dev.nibble.runtime.cache.DbCache.Measure;
import dev.nibble.runtime.cache.DbCache.Refresh;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The text of a {@link DbCache}: `dbcache:F=1,B=0,threshold=0.08,..`.
final class DbCacheSpec {
  private static final DbCache DEFAULT = DbCache.DEFAULT;

  private DbCacheSpec() {}

  static DbCache read(SpecReader spec) {
    return new DbCache(
        spec.integer("F", DEFAULT.front()),
        spec.integer("B", DEFAULT.back()),
        spec.number("threshold", DEFAULT.threshold()),
        new Limits(
            spec.integer("warmup", DEFAULT.limits().warmup()),
            spec.integer("warmup_interval", DEFAULT.limits().warmupInterval()),
            spec.integer("max_cached"),
            spec.integer("max_continuous"),
            spec.number("max_accumulated")),
        new Measure(
            spec.number("important", DEFAULT.measure().important()),
            spec.integer("downsample", DEFAULT.measure().downsample())),
        mask(spec),
        spec.flag("shared_difference", DEFAULT.sharedDifference()),
        refresh(spec),
        forecast(spec));
  }

  private static Optional<Mask> mask(SpecReader spec) {
    Optional<StepMask> mask = spec.text("mask").map(StepMask::parse);
    String policy = spec.choice("mask_policy", "dynamic", "dynamic", "static");
    return mask.map(value -> new Mask(value, policy.equals("static")));
  }

  private static Optional<Refresh> refresh(SpecReader spec) {
    var calls = spec.integer("refresh");
    String policy = spec.choice("refresh_policy", "once", "once", "repeat");
    return calls.isPresent()
        ? Optional.of(new Refresh(calls.getAsInt(), policy.equals("repeat")))
        : Optional.empty();
  }

  private static Optional<Forecast> forecast(SpecReader spec) {
    List<Calibrator> asked = new ArrayList<>();
    spec.integer("taylorseer").ifPresent(order -> asked.add(new TaylorSeer(order)));
    if (spec.flag("foca", false)) {
      asked.add(new FoCa());
    }
    spec.integer("dmd").ifPresent(history -> asked.add(Dmd.DEFAULT.withHistory(history)));
    boolean hidden = spec.choice("predict", "residual", "residual", "hidden").equals("hidden");
    if (asked.size() > 1) {
      throw new IllegalArgumentException("taylorseer, foca and dmd exclude one another");
    }
    return asked.stream().findFirst().map(calibrator -> new Forecast(calibrator, hidden));
  }

  static String write(DbCache cache) {
    SpecWriter spec =
        new SpecWriter("dbcache")
            .put("F", cache.front())
            .put("B", cache.back())
            .put("threshold", cache.threshold())
            .put("warmup", cache.limits().warmup());
    write(cache.limits(), spec);
    spec.putUnless(DEFAULT.measure().important(), "important", cache.measure().important())
        .putUnless(DEFAULT.measure().downsample(), "downsample", cache.measure().downsample());
    cache
        .mask()
        .ifPresent(mask ->
            spec.put("mask", mask.mask().text())
                .put("mask_policy", mask.fixed() ? "static" : "dynamic"));
    if (cache.sharedDifference()) {
      spec.put("shared_difference", 1);
    }
    cache
        .refresh()
        .ifPresent(refresh ->
            spec.put("refresh", refresh.calls())
                .put("refresh_policy", refresh.repeated() ? "repeat" : "once"));
    cache.forecast().ifPresent(forecast -> write(forecast, spec));
    return spec.toString();
  }

  private static void write(Limits limits, SpecWriter spec) {
    spec.putUnless(DEFAULT.limits().warmupInterval(), "warmup_interval", limits.warmupInterval());
    limits.cached().ifPresent(value -> spec.put("max_cached", value));
    limits.continuous().ifPresent(value -> spec.put("max_continuous", value));
    limits.accumulated().ifPresent(value -> spec.put("max_accumulated", value));
  }

  private static void write(Forecast forecast, SpecWriter spec) {
    switch (forecast.calibrator()) {
      case TaylorSeer taylor -> spec.put("taylorseer", taylor.order());
      case FoCa() -> spec.put("foca", 1);
      case Dmd dmd -> spec.put("dmd", dmd.history());
    }
    spec.put("predict", forecast.hiddenStates() ? "hidden" : "residual");
  }
}
