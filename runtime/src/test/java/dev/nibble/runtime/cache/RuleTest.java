package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What rules decide and reuse, on trunks of numbers. The expected numbers are worked out by hand.
class RuleTest {
  private record Ran(List<StepDecision> decisions, List<Float> outputs) {
    String text() {
      return CacheGoldens.text(decisions);
    }
  }

  /// Runs the blocks of each step on zeros.
  private static Ran run(StepCache rule, int steps, IntFunction<FakeTrunk> trunks) {
    try (Backend backend = new CpuBackend();
        Ops ops = backend.newOps("test")) {
      CacheRun run = rule.start(new CachePlan(steps, false), ops);
      List<Float> outputs = new ArrayList<>();
      for (int step = 0; step < steps; step++) {
        try (Region _ = ops.region()) {
          BlockState out =
              run.runner(step, GuidanceBranch.CONDITIONAL)
                  .run(trunks.apply(step), FakeTrunk.zeros(1, ops), ops);
          outputs.add(ops.toHost(out.hidden())[3]);
        }
      }
      return new Ran(run.decisions(), outputs);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "10, 3, 1001001001",
    "11, 3, 11001001001",
    "12, 3, 101001001001",
    "7, 1, 1111111",
    "7, 9, 1000001",
  })
  void foraCountsItsIntervalsFromTheEnd(int steps, int interval, String computed) {
    assertEquals(computed, run(new Fora(interval), steps, _ -> new FakeTrunk(1, 1)).text());
  }

  @Test
  void foraComputesEightyFourOf250() {
    Ran ran = run(new Fora(3), 250, _ -> new FakeTrunk(1));
    assertEquals(84, ran.decisions.stream().filter(StepDecision::computed).count());
  }

  @Test
  void foraReusesWhatModulesGave() {
    Ran ran = run(new Fora(3), 7, step -> new FakeTrunk(step, 10 * step));
    assertEquals(List.of(0f, 0f, 0f, 33f, 33f, 33f, 66f), ran.outputs);
  }

  @ParameterizedTest
  @CsvSource({
    "taylorseer, 15, 111010000100001",
    "'taylorseer:interval=4,after=18', 20, 11101000100010001011",
    "'taylorseer:interval=3,before=1', 8, 10100100",
  })
  void taylorSeerComputesByTheClock(String spec, int steps, String computed) throws IOException {
    assertEquals(computed, run(StepCaches.parse(spec), steps, _ -> new FakeTrunk(1)).text());
  }

  /// Attention goes on in a straight line from steps 2 and 4; the rest is computed.
  @Test
  void taylorSeerExtrapolatesAttention() throws IOException {
    Ran ran =
        run(
            StepCaches.parse("taylorseer"),
            8,
            step -> new FakeTrunk(step == 2 ? 4 : step == 4 ? 8 : 2));
    assertEquals("11101000", ran.text());
    // The feed-forward gives 1; attention 2 + 1 at step 3, 4 + 1, 4 + 2, 4 + 3 behind step 4.
    assertEquals(List.of(2f, 2f, 4f, 4f, 8f, 6f, 7f, 8f), ran.outputs);
  }

  /// Distances of 1/10, 1/11, 1/12 .. add up.
  @Test
  void teaCacheAddsDistancesUp() throws IOException {
    float[] inputs = {1, 1.1f, 1.2f, 1.3f, 1.4f, 1.5f, 1.6f, 1.6f, 1.6f, 1.6f};
    Ran ran =
        run(
            StepCaches.parse("teacache:threshold=0.15,coefficients=identity"),
            inputs.length,
            step -> FakeTrunk.modulated(inputs[step], step, 100));
    assertEquals("1010100001", ran.text());
    double[] expected = {.1, .1 + 1 / 11., 1 / 12., 1 / 12. + 1 / 13., 1 / 14., 1 / 14. + 1 / 15.};
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], ran.decisions.get(i + 1).difference().orElseThrow(), 1e-6);
    }
    assertTrue(ran.decisions.getFirst().difference().isEmpty());
    assertTrue(ran.decisions.getLast().difference().isEmpty());
    // A reused step adds what the last computed one added.
    assertEquals(List.of(100f, 100f, 102f, 102f, 104f), ran.outputs.subList(0, 5));
  }

  @Test
  void teaCacheCalibrationFitsAPolynomial() {
    TeaCachePolynomial law = new TeaCachePolynomial(List.of(40.0, -30.0, 8.0, 0.5, 0.01));
    List<TeaCacheCalibration.Observation> observations = new ArrayList<>();
    for (int i = 1; i <= 12; i++) {
      observations.add(new TeaCacheCalibration.Observation(0.03 * i, law.at(0.03 * i)));
    }
    TeaCachePolynomial fit = TeaCacheCalibration.fit(observations);
    for (int power = 0; power < 5; power++) {
      assertEquals(law.coefficients().get(power), fit.coefficients().get(power), 1e-9);
    }
    assertThrows(
        IllegalStateException.class, () -> TeaCacheCalibration.fit(observations.subList(0, 4)));
  }

  /// Numbers that no polynomial of degree 4 goes through; the fit is numpy's polyfit.
  @Test
  void teaCacheCalibrationTakesTheLeastSquares() {
    double[] x = {0.01, 0.03, 0.08, 0.12, 0.2, 0.25, 0.31, 0.4};
    double[] y = {0.02, 0.05, 0.06, 0.13, 0.16, 0.30, 0.28, 0.55};
    List<TeaCacheCalibration.Observation> observations = new ArrayList<>();
    for (int i = 0; i < x.length; i++) {
      observations.add(new TeaCacheCalibration.Observation(x[i], y[i]));
    }
    double[] expected = {
      108.81557534933371,
      -77.57689012905115,
      18.281612730708616,
      -0.5856014256475897,
      0.03541744232197014
    };
    TeaCachePolynomial fit = TeaCacheCalibration.fit(observations);
    for (int power = 0; power < 5; power++) {
      assertEquals(
          expected[power], fit.coefficients().get(power), 1e-9 * Math.abs(expected[power]));
    }
  }

  @Test
  void teaCacheCalibrationMeasuresARun() {
    TeaCacheCalibration calibration = new TeaCacheCalibration();
    float[] inputs = {1, 1.25f, 1.5f};
    float[] added = {4, 5, 4};
    Ran ran =
        run(
            calibration,
            3,
            step -> FakeTrunk.modulated(inputs[step], added[step] / 2, added[step] / 2));
    assertEquals("111", ran.text());
    assertEquals(
        List.of(
            new TeaCacheCalibration.Observation(0.25, 0.25),
            new TeaCacheCalibration.Observation(0.2f, 0.2f)),
        calibration.observations());
  }

  @Test
  void magCacheCalibrationMeasuresARun() {
    MagCacheCalibration calibration = new MagCacheCalibration();
    assertThrows(IllegalStateException.class, calibration::ratios);
    float[] added = {4, 3, -6};
    run(calibration, 3, step -> new FakeTrunk(added[step] / 2, added[step] / 2));
    assertEquals(List.of(1.0, 0.75, 2.0), calibration.ratios());
    assertThrows(IllegalArgumentException.class, () -> run(calibration, 4, _ -> new FakeTrunk(1)));
  }

  /// nearest_interp of diffusers: 5 ratios over 9 steps lie at 0, 0.5, 1, 1.5, .., ties to even.
  @Test
  void magCacheStretchesItsRatios() {
    MagCache cache = MagCache.of(List.of(1.0, 2.0, 3.0, 4.0, 5.0));
    List<Float> ratios = new ArrayList<>();
    for (int step = 0; step < 9; step++) {
      ratios.add(cache.ratio(step, 9));
    }
    assertEquals(List.of(1f, 1f, 2f, 3f, 3f, 3f, 4f, 5f, 5f), ratios);
    assertEquals(5f, cache.ratio(0, 1));
  }

  @Test
  void magCacheReusesTheWholeResidual() {
    Ran ran =
        run(
            new MagCache(List.of(1.0, 1.0, 1.0, 1.0, 0.9), 0.06, 3, 0.2),
            5,
            step -> new FakeTrunk(step, 10));
    assertEquals("10001", ran.text());
    assertEquals(List.of(10f, 10f, 10f, 10f, 14f), ran.outputs);
  }

  /// Blocks 1 and 4 always run; a hit adds what 2 and 3 gave to what 1 gives now.
  @Test
  void dbCacheReusesTheMiddle() {
    Ran ran = run(DbCache.of(1, 1, 0.3), 3, step -> new FakeTrunk(step + 4, 10, 20, 100 * step));
    assertEquals("101", ran.text());
    assertEquals(List.of(34f, 135f, 236f), ran.outputs);
  }

  @Test
  void aStaticMaskNeedsSomethingToReuse() throws IOException {
    StepCache rule = StepCaches.parse("dbcache:F=1,mask=0010,mask_policy=static,warmup=0");
    assertEquals("1010", run(rule, 4, _ -> new FakeTrunk(1, 1)).text());
  }

  @Test
  void moreBlocksThanThereAreAreRefused() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> run(DbCache.of(2, 2, 0.1), 1, _ -> new FakeTrunk(1, 1, 1)));
    assertEquals(
        "dbcache: F=2 and B=2 are more than the 3 blocks of this transformer", e.getMessage());
  }

  /// Both streams of a dual-stream model get what the skipped blocks gave them.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "fbcache:threshold=0.5",
        "dbcache:F=1,warmup=0,threshold=0.5",
        "dbcache:F=1,warmup=0,threshold=0.5,taylorseer=1",
        "dbcache:F=1,warmup=0,threshold=0.5,foca=1",
      })
  void theTextStreamIsReusedToo(String spec) throws IOException {
    try (Backend backend = new CpuBackend();
        Ops ops = backend.newOps("test")) {
      CacheRun run = StepCaches.parse(spec).start(new CachePlan(2, false), ops);
      for (int step = 0; step < 2; step++) {
        BlockState in =
            BlockState.of(FakeTrunk.zeros(2, ops).hidden(), FakeTrunk.zeros(1, ops).hidden());
        BlockState out =
            run.runner(step, GuidanceBranch.CONDITIONAL)
                .run(new FakeTrunk(4, 8 + step, 16), in, ops);
        assertEquals(28, ops.toHost(out.hidden())[0]);
        assertEquals(28, ops.toHost(out.encoder().orElseThrow())[0]);
      }
      assertEquals("10", CacheGoldens.text(run.decisions()));
    }
  }

  /// Tokens 0 and 1 changed by a tenth and by a half.
  @Test
  void importantTokensAloneCount() throws IOException {
    assertEquals(0.3, twoTokens("important=0"), 1e-6);
    assertEquals(0.3, twoTokens("important=0.05"), 1e-6);
    assertEquals(0.5, twoTokens("important=0.2"), 1e-6);
    assertEquals(0.3, twoTokens("important=0.9"), 1e-6);
  }

  /// Channels 0 and 3 of four changed by 0.1 and 0.5: the whole by 0.15, each third by 0.3.
  @Test
  void channelsAreThinnedOut() throws IOException {
    assertEquals(0.15, channels("downsample=1"), 1e-6);
    assertEquals(0.05, channels("downsample=2"), 1e-6);
    assertEquals(0.3, channels("downsample=3"), 1e-6);
    assertEquals(0.1, channels("downsample=4"), 1e-6);
  }

  private static double twoTokens(String key) throws IOException {
    return difference(
        key,
        new float[] {1, 1, 1, 1, 1, 1, 1, 1},
        new float[] {1.1f, 1.1f, 1.1f, 1.1f, 1.5f, .5f, 1.5f, .5f});
  }

  private static double channels(String key) throws IOException {
    return difference(key, new float[] {1, 1, 1, 1}, new float[] {1.1f, 1, 1, 1.5f});
  }

  private static double difference(String key, float[] before, float[] now) throws IOException {
    DbCache cache = (DbCache) StepCaches.parse("dbcache:" + key);
    ResidualMeasure measure = new ResidualMeasure(cache.measure());
    try (Backend backend = new CpuBackend();
        Ops ops = backend.newOps("test")) {
      return measure.difference(
          measure.reduce(ops.fromHost(before, 1, before.length / 4, 4), ops),
          measure.reduce(ops.fromHost(now, 1, now.length / 4, 4), ops),
          ops);
    }
  }

  /// What a run holds does not grow with its steps, and goes with the session.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "fbcache:threshold=0.3",
        "dbcache:F=1,warmup=0,threshold=0.3",
        "dbcache:F=1,warmup=0,threshold=0.3,taylorseer=2",
        "dbcache:F=1,warmup=0,threshold=0.3,foca=1",
        "dbcache:F=1,warmup=0,threshold=0.3,dmd=4",
        "dbcache:F=1,warmup=0,threshold=0.3,foca=1,refresh=5,refresh_policy=repeat",
        "teacache:threshold=0.3",
        "fora:N=3",
        "taylorseer:modules=all,order=2",
        "magcache:ratios=1:0.99",
      })
  void memoryDoesNotGrow(String spec) throws IOException {
    Random random = new Random(5);
    try (Backend backend = new CpuBackend()) {
      try (Ops ops = backend.newOps("test")) {
        int steps = 60;
        CacheRun run = StepCaches.parse(spec).start(new CachePlan(steps, true), ops);
        long half = 0;
        for (int step = 0; step < steps; step++) {
          for (GuidanceBranch branch : GuidanceBranch.values()) {
            try (Region _ = ops.region()) {
              FakeTrunk trunk =
                  FakeTrunk.modulated(
                      1 + random.nextFloat(), 1 + random.nextFloat(), 1, random.nextFloat());
              run.runner(step, branch).run(trunk, FakeTrunk.zeros(1, ops), ops);
            }
            if (step < steps / 2) {
              half = Math.max(half, backend.openBytes());
            } else {
              assertTrue(backend.openBytes() <= half, "step " + step);
            }
          }
        }
        assertTrue(half > 0);
        assertTrue(CacheGoldens.text(run.decisions()).contains("0"));
      }
      assertEquals(0, backend.openBytes());
    }
  }
}
