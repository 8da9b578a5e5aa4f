package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The decisions of cache-dit and of diffusers' hook for given residuals, without a model.
class PolicyGoldenTest {
  /// All but those that record a bug of the peer: in its second run the first call is decided by
  /// the state of the first run.
  static Stream<String> policies() {
    return CacheGoldens.cases("policy")
        .filter(entry -> !entry.has("note"))
        .map(entry -> entry.get("id").asText());
  }

  @Test
  void thereAreAllCases() {
    assertEquals(36, policies().count());
    assertEquals(38, CacheGoldens.cases("policy").count());
  }

  @ParameterizedTest
  @MethodSource("policies")
  void decidesAsThePeer(String id) {
    JsonNode golden = CacheGoldens.find("policy", id);
    StepCache rule = CacheGoldens.rule(golden);
    if (rule instanceof DbCache cache) {
      rule = cache.withBlocks(1, 0, cache.threshold());
    }
    int calls = golden.get("values").size();
    List<Integer> streaks = new ArrayList<>();
    try (Backend backend = new CpuBackend();
        Ops ops = backend.newOps("test")) {
      CacheRun run = rule.start(new CachePlan(calls, false), ops);
      for (int call = 0; call < calls; call++) {
        GuidanceBranch branch = branch(golden, call);
        residual(golden.get("values").get(call), run, step(golden, call), branch, ops);
        if (run instanceof DbCacheRun dbCache) {
          streaks.add(dbCache.state(branch).rules().streak());
        }
      }
      check(golden, run.decisions());
      if (golden.has("streak_after")) {
        List<Integer> expected = new ArrayList<>();
        golden.get("streak_after").forEach(streak -> expected.add(streak.asInt()));
        assertEquals(expected, streaks);
      }
    }
  }

  /// Calls the transformer with a first block that adds a number to each element.
  private static void residual(
      JsonNode value, CacheRun run, int step, GuidanceBranch branch, Ops ops) {
    float number = (float) (value.isArray() ? value.get(0) : value).asDouble();
    try (Region _ = ops.region()) {
      FakeTrunk trunk = new FakeTrunk(number, 1, 1);
      int before = run.decisions().size();
      run.runner(step, branch)
          .run(trunk, FakeTrunk.zeros(value.isArray() ? value.get(1).asInt() : 2, ops), ops);
      assertEquals(
          run.decisions().get(before).computed() ? List.of(0, 1, 2) : List.of(0), trunk.ran);
    }
  }

  private static GuidanceBranch branch(JsonNode golden, int call) {
    return golden.has("branch") && golden.get("branch").asText().charAt(call) == 'u'
        ? GuidanceBranch.UNCONDITIONAL
        : GuidanceBranch.CONDITIONAL;
  }

  /// Steps of the peer begin anew where it refreshes; those of a run go on.
  private static int step(JsonNode golden, int call) {
    return golden.path("config").path("enable_separate_cfg").asBoolean(false) ? call / 2 : call;
  }

  private static void check(JsonNode golden, List<StepDecision> decisions) {
    assertEquals(golden.get("decisions").asText(), CacheGoldens.text(decisions));
    for (int i = 0; i < decisions.size(); i++) {
      CacheGoldens.checkDifference("call " + i, golden.get("diffs").get(i), decisions.get(i), 1e-6);
    }
  }
}
