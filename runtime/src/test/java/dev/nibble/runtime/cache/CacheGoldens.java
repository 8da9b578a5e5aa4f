package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.cache.DbCache.Forecast;
import dev.nibble.runtime.cache.DbCache.Limits;
import dev.nibble.runtime.cache.DbCache.Mask;
import dev.nibble.runtime.cache.DbCache.Measure;
import dev.nibble.runtime.cache.DbCache.Refresh;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/// What the peers decided, from `fixtures/goldens/cache`.
final class CacheGoldens {
  static final JsonNode MANIFEST = json("goldens/cache/cache_manifest.json");

  private CacheGoldens() {}

  private static JsonNode json(String fixture) {
    try {
      return new ObjectMapper().readTree(Files.readAllBytes(Fixtures.path(fixture)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// Entries of a list of the manifest.
  static Stream<JsonNode> cases(String list) {
    return StreamSupport.stream(MANIFEST.get(list).spliterator(), false);
  }

  /// The entry with an id.
  static JsonNode find(String list, String id) {
    return cases(list)
        .filter(entry -> entry.get("id").asText().equals(id))
        .findFirst()
        .orElseThrow();
  }

  /// The rule of a peer's configuration. What is not given is the peer's default.
  static StepCache rule(JsonNode entry) {
    JsonNode config = entry.get("config");
    return switch (entry.get("peer").asText()) {
      case "diffusers-fbc" -> new FbCache(config.get("threshold").asDouble(), 0);
      case "cache-dit" -> dbCache(config, entry.has("extra") ? entry.get("extra") : config);
      case "diffusers-taylorseer" ->
          new TaylorSeerInterval(
              config.path("cache_interval").asInt(5),
              config.path("max_order").asInt(1),
              config.path("disable_cache_before_step").asInt(3),
              integer(config, "disable_cache_after_step"),
              config.has("cache_identifiers"));
      case "diffusers-magcache" ->
          new MagCache(
              numbers(config.get("mag_ratios")),
              config.path("threshold").asDouble(0.06),
              config.path("max_skip_steps").asInt(3),
              config.path("retention_ratio").asDouble(0.2));
      default -> throw new IllegalArgumentException(entry.get("peer").asText());
    };
  }

  private static DbCache dbCache(JsonNode config, JsonNode extra) {
    return new DbCache(
        config.path("Fn_compute_blocks").asInt(8),
        config.path("Bn_compute_blocks").asInt(0),
        config.path("residual_diff_threshold").asDouble(0.08),
        new Limits(
            config.path("max_warmup_steps").asInt(8),
            config.path("warmup_interval").asInt(1),
            integer(config, "max_cached_steps"),
            integer(config, "max_continuous_cached_steps"),
            config.has("max_accumulated_residual_diff_threshold")
                ? OptionalDouble.of(
                    config.get("max_accumulated_residual_diff_threshold").asDouble())
                : OptionalDouble.empty()),
        new Measure(
            extra.path("important_condition_threshold").asDouble(0),
            extra.path("downsample_factor").asInt(1)),
        config.has("steps_computation_mask")
            ? Optional.of(
                new Mask(
                    StepMask.parse(config.get("steps_computation_mask").asText()),
                    config.path("steps_computation_policy").asText().equals("static")))
            : Optional.empty(),
        !config.path("cfg_diff_compute_separate").asBoolean(true)
            && !config.path("cfg_compute_first").asBoolean(false),
        config.has("force_refresh_step_hint")
            ? Optional.of(
                new Refresh(
                    config.get("force_refresh_step_hint").asInt(),
                    config.path("force_refresh_step_policy").asText().equals("repeat")))
            : Optional.empty(),
        config.has("calibrator")
            ? Optional.of(
                new Forecast(
                    calibrator(config.get("calibrator")),
                    config
                        .get("calibrator")
                        .path("calibrator_cache_type")
                        .asText()
                        .equals("hidden_states")))
            : Optional.empty());
  }

  static Calibrator calibrator(JsonNode config) {
    return switch (config.get("type").asText()) {
      case "taylorseer" -> new TaylorSeer(config.path("taylorseer_order").asInt(1));
      case "foca" -> new FoCa();
      case "dmd" -> Dmd.DEFAULT;
      default -> throw new IllegalArgumentException(config.toString());
    };
  }

  private static OptionalInt integer(JsonNode config, String key) {
    return config.has(key) ? OptionalInt.of(config.get(key).asInt()) : OptionalInt.empty();
  }

  static List<Double> numbers(JsonNode list) {
    List<Double> numbers = new ArrayList<>();
    list.forEach(number -> numbers.add(number.asDouble()));
    return numbers;
  }

  /// Decisions as the manifest writes them: a 1 where a step was computed.
  static String text(List<StepDecision> decisions) {
    return decisions.stream()
        .map(decision -> decision.computed() ? "1" : "0")
        .collect(Collectors.joining());
  }

  /// Norm of the difference over the norm.
  static double relative(float[] found, float[] wanted) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < wanted.length; i++) {
      difference += Math.pow((double) found[i] - wanted[i], 2);
      norm += Math.pow(wanted[i], 2);
    }
    return Math.sqrt(difference / norm);
  }

  /// Checks a decision's difference against the peer's.
  ///
  /// @param expected null where the peer compared nothing; negative numbers are its signs for that
  static void checkDifference(
      String what, JsonNode expected, StepDecision found, double tolerance) {
    boolean compared = !expected.isNull() && expected.asDouble() >= 0;
    assertEquals(compared, found.difference().isPresent(), what);
    if (compared) {
      double wanted = expected.asDouble();
      double difference = found.difference().getAsDouble();
      assertTrue(
          Math.abs(difference - wanted) <= tolerance * wanted,
          () -> "%s: %s, not %s".formatted(what, difference, wanted));
    }
  }
}
