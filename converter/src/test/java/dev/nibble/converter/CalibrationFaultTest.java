package dev.nibble.converter;

import static dev.nibble.converter.EqualCheckpoints.assertEqualTrees;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.converter.Calibration.Scales;
import dev.nibble.converter.algorithm.GptqOptions;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.QuantSchemes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Statistics that do not help, or only some of the layers: one line that says so, and no output.
class CalibrationFaultTest {
  private static final Path PIPELINE = Fixtures.path("models/emoji-zimage");
  private static final Path ZIMAGE = Fixtures.path("models/emoji-zimage/transformer");
  private static final Path QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen");
  private static final String INPUT = "layers.0.attention.to_k";

  @TempDir static Path shared;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static Path all;

  @TempDir Path folder;

  @BeforeAll
  static void record() throws IOException {
    all = TestStatistics.ALL.write(shared.resolve("all.safetensors"), ZIMAGE);
  }

  private enum Use {
    GPTQ,
    AWQ,
    SMOOTH,
    SVD,
    W8A8
  }

  private static Calibration how(Path stats, Use use) {
    return new Calibration(
        stats,
        use == Use.GPTQ ? Optional.of(GptqOptions.RECOMMENDED) : Optional.empty(),
        use == Use.AWQ
            ? Optional.of(Scales.AWQ)
            : use == Use.SMOOTH ? Optional.of(Scales.SMOOTH) : Optional.empty(),
        use == Use.SVD ? OptionalInt.of(4) : OptionalInt.empty(),
        use == Use.W8A8);
  }

  private ConversionRequest.Builder request(Path source, Path stats, Use use) {
    return ConversionRequest.builder(source)
        .scheme(QuantSchemes.parse(use == Use.W8A8 ? "absmax8" : "nf4"))
        .calibration(how(stats, use))
        .output(folder.resolve("out"))
        .threads(2);
  }

  private static ConversionReport run(ConversionRequest request) throws IOException {
    Converter converter = new Converter();
    return converter.run(converter.plan(request), ProgressListener.none(), new Cancellation());
  }

  /// Fails in one line, which names these, and writes nothing.
  private void assertRefused(ConversionRequest.Builder request, String... words)
      throws IOException {
    NibbleException refusal = assertThrows(NibbleException.class, () -> run(request.build()));
    String message = String.valueOf(refusal.getMessage());
    for (String word : words) {
      assertTrue(message.contains(word), word + " is not in: " + message);
    }
    assertEquals(1, message.lines().count(), message);
    assertNothingWritten();
  }

  private void assertNothingWritten() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(), files.filter(file -> !file.toString().endsWith(".stats")).toList());
    }
  }

  private Path write(TestStatistics statistics, Path model) throws IOException {
    return statistics.write(folder.resolve("own.stats"), model);
  }

  private Path copy() throws IOException {
    return Files.copy(all, folder.resolve("own.stats"));
  }

  @Test
  void missingAndForeignFiles() throws IOException {
    Path missing = folder.resolve("missing.stats");
    IOException absent =
        assertThrows(IOException.class, () -> run(request(ZIMAGE, missing, Use.GPTQ).build()));
    assertTrue(String.valueOf(absent.getMessage()).contains("missing.stats"));
    assertRefused(
        request(
            ZIMAGE, ZIMAGE.resolve("diffusion_pytorch_model-00001-of-00002.safetensors"), Use.GPTQ),
        "diffusion_pytorch_model-00001");
    Path text = Files.writeString(folder.resolve("text.stats"), "no statistics at all");
    assertRefused(request(ZIMAGE, text, Use.GPTQ), "text.stats");
  }

  @Test
  void anotherModel() throws IOException {
    Path qwen = TestStatistics.ALL.write(folder.resolve("qwen.stats"), QWEN);
    assertRefused(
        request(ZIMAGE, qwen, Use.GPTQ),
        "qwen.stats",
        "statistics of another model",
        "is no layer of");
    assertRefused(
        request(ZIMAGE, write(TestStatistics.ALL.withConfig("{\"dim\":64}"), ZIMAGE), Use.GPTQ),
        "another model",
        "config.json",
        "nibble calibrate");
    Path wide = WideModel.write(Files.createDirectory(shared.resolve("w")).resolve("m"), ZIMAGE);
    Files.delete(folder.resolve("own.stats"));
    // Other types of the same numbers are the same model.
    run(request(wide, copy(), Use.GPTQ).output(shared.resolve("w").resolve("out")).build());
  }

  @Test
  void otherShapes() throws IOException {
    Path model = Files.createDirectory(shared.resolve("reshaped"));
    Files.copy(ZIMAGE.resolve("config.json"), model.resolve("config.json"));
    TestModels.write(
        model.resolve("diffusion_pytorch_model.safetensors"),
        java.util.Map.of(INPUT + ".weight", dev.nibble.formats.Shape.of(192, 64)),
        dev.nibble.formats.DType.BF16);
    TestStatistics one = new TestStatistics("transformer", "", INPUT::equals, true, 8);
    assertRefused(
        request(model, write(one, ZIMAGE), Use.GPTQ),
        "'" + INPUT + "' is 192x192 there and 192x64 in");
  }

  @Test
  void originalNames() throws IOException {
    assertRefused(
        request(ZIMAGE, all, Use.GPTQ)
            .names(Dialect.ORIGINAL)
            .output(folder.resolve("out.safetensors")),
        "original ones",
        "--names diffusers");
  }

  @Test
  void brokenHessians() throws IOException {
    Path stats = copy();
    TestStatistics.poke(stats, INPUT, 3, 5, Float.NaN);
    assertRefused(
        request(ZIMAGE, stats, Use.GPTQ), "own.stats", INPUT, "not finite", "calibrate anew");
    TestStatistics.poke(stats, INPUT, 3, 3, Float.NaN);
    assertRefused(request(ZIMAGE, stats, Use.GPTQ), "own.stats", INPUT + ".hessian", "finite");
    Files.delete(stats);
    float[] diagonal = TestStatistics.diagonal(copy(), INPUT);
    TestStatistics.poke(stats, INPUT, 3, 5, 1000 * mean(diagonal));
    assertRefused(request(ZIMAGE, stats, Use.GPTQ), "own.stats", INPUT, "not even with damping 1");
  }

  private static float mean(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += value;
    }
    return (float) (sum / values.length);
  }

  /// What the wished damping does not mend, more of it does, and the report says how much.
  @Test
  void moreDampingWhereItIsNeeded() throws IOException {
    Path stats = copy();
    float[] diagonal = TestStatistics.diagonal(stats, INPUT);
    float mean = mean(diagonal);
    List<Integer> small = new ArrayList<>();
    for (int i = 0; i < diagonal.length; i++) {
      if (diagonal[i] < 0.3f * mean) {
        small.add(i);
      }
    }
    // With both entries of the diagonal raised by 0.1 of the mean, this minor is negative yet.
    TestStatistics.poke(stats, INPUT, small.get(0), small.get(1), 0.5f * mean);
    ConversionReport report = run(request(ZIMAGE, stats, Use.GPTQ).build());
    int raised = 0;
    for (var tensor : report.tensors()) {
      String module = LayerDecisions.module(tensor.plan().source().name());
      boolean same = module.matches("layers\\.0\\.attention\\.to_[qkv]");
      double damping = tensor.calibration().map(CalibrationResult::damping).orElse(0.1);
      assertEquals(same ? 1.0 : 0.1, damping, module);
      raised += same ? 1 : 0;
    }
    assertEquals(3, raised);
  }

  @Test
  void statisticsThatLackWhatIsNeeded() throws IOException {
    Path stats = write(TestStatistics.ALL.withoutHessians(), ZIMAGE);
    assertRefused(
        request(ZIMAGE, stats, Use.GPTQ), "own.stats", "no Hessian", "--gptq", "--no-hessian");
    Files.delete(stats);
    write(TestStatistics.ALL.withSamples(0), ZIMAGE);
    assertRefused(request(ZIMAGE, stats, Use.W8A8), "own.stats", "no sample", "--w8a8");
    Files.delete(stats);
    write(TestStatistics.ALL.withSamples(0).withoutHessians(), ZIMAGE);
    assertRefused(request(ZIMAGE, stats, Use.AWQ), "own.stats", "no Hessian and no sample");
  }

  @ParameterizedTest
  @ValueSource(strings = {"GPTQ", "AWQ", "SMOOTH", "SVD"})
  void withoutSamplesThereIsNoErrorOfOutputs(String use) throws IOException {
    Path stats = write(TestStatistics.ALL.withSamples(0), ZIMAGE);
    ConversionReport report = run(request(ZIMAGE, stats, Use.valueOf(use)).build());
    List<CalibrationResult> results =
        report.tensors().stream().flatMap(one -> one.calibration().stream()).toList();
    assertEquals(100, results.size());
    for (CalibrationResult result : results) {
      assertEquals(Optional.empty(), result.outputs());
    }
    if (use.equals("GPTQ")) {
      // Samples are for measuring: the codes are the same.
      run(request(ZIMAGE, all, Use.GPTQ).output(folder.resolve("sampled")).build());
      assertEqualTrees(folder.resolve("sampled"), folder.resolve("out"));
    }
  }

  @Test
  void weightsMustBeNumbers() throws IOException {
    assertRefused(
        request(ZIMAGE, all, Use.GPTQ).allowNonFinite(true), "--allow-non-finite", "--stats");
    Path model = WideModel.write(Files.createDirectory(shared.resolve("n")).resolve("m"), ZIMAGE);
    Path weights = model.resolve("diffusion_pytorch_model.safetensors");
    pokeWeight(weights, "layers.2.feed_forward.w2.weight");
    for (Use use : Use.values()) {
      assertRefused(
          request(model, all, use), "layers.2.feed_forward.w2.weight", "finite", "row 1, column 3");
    }
  }

  private static void pokeWeight(Path file, String tensor) throws IOException {
    long offset;
    try (var checkpoint = dev.nibble.formats.Checkpoints.open(file)) {
      offset = Optional.ofNullable(checkpoint.tensors().get(tensor)).orElseThrow().offset();
    }
    try (var raw = new java.io.RandomAccessFile(file.toFile(), "rw")) {
      raw.seek(offset + 4L * (512 + 3));
      raw.write(new byte[] {0, 0, (byte) 0xC0, 0x7F});
    }
  }

  @Test
  void layersWithoutStatisticsAreRoundedToNearest() throws IOException {
    Path stats = write(TestStatistics.ALL.without("feed_forward"), ZIMAGE);
    assertRefused(
        request(ZIMAGE, stats, Use.GPTQ).only(List.of("feed_forward")), "helps none of the layers");
    ConversionReport report = run(request(ZIMAGE, stats, Use.GPTQ).build());
    assertNoted(report.plan(), "rounded to nearest (no statistics): ", "w1", "and 33 more");
    for (var tensor : report.tensors()) {
      boolean quantized = tensor.error().isPresent();
      boolean recorded = !tensor.plan().source().name().contains("feed_forward");
      assertEquals(quantized && recorded, tensor.calibration().isPresent());
    }
  }

  private static void assertNoted(ConversionPlan plan, String... words) {
    assertTrue(
        plan.notes().stream().anyMatch(note -> Stream.of(words).allMatch(note::contains)),
        plan.notes().toString());
  }

  /// Blocks of 256 do not divide rows of 192 or 64, but those of 512, 256 and 1024.
  @Test
  void rowsThatAreNotWholeBlocks() throws IOException {
    ConversionReport report =
        run(request(ZIMAGE, all, Use.GPTQ).scheme(QuantSchemes.parse("nf4:256")).build());
    assertNoted(report.plan(), "nf4:256 has no whole blocks in its rows", "more");
    for (var tensor : report.tensors()) {
      if (tensor.error().isPresent()) {
        boolean whole = tensor.plan().source().shape().last() % 256 == 0;
        assertEquals(whole, tensor.calibration().isPresent(), tensor.plan().source().name());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4+svd8", "nf4+scale"})
  void schemesThatOnlyStatisticsMake(String scheme) throws IOException {
    assertRefused(
        ConversionRequest.builder(ZIMAGE)
            .scheme(QuantSchemes.parse(scheme))
            .output(folder.resolve("out")),
        "--scheme " + scheme,
        "--stats FILE");
  }

  @Test
  void ggufFilesHaveNoCalibratedCodes() throws IOException {
    assertRefused(
        request(ZIMAGE, all, Use.GPTQ)
            .scheme(QuantSchemes.parse("gguf:Q4_0"))
            .output(folder.resolve("out.gguf")),
        "--stats",
        "--imatrix");
  }

  @Test
  void ofAPipelineOneComponentIsCalibrated() throws IOException {
    Converter converter = new Converter();
    Path source = PIPELINE;
    PipelinePlan plan = converter.plan(PipelineRequest.of(request(source, all, Use.GPTQ).build()));
    assertTrue(
        plan.notes()
            .contains("rounded to nearest, for statistics are of transformer: text_encoder"),
        plan.notes().toString());
    converter.runPipelines(List.of(plan), ProgressListener.none(), new Cancellation());
    run(request(ZIMAGE, all, Use.GPTQ).output(folder.resolve("alone")).build());
    assertEqualTrees(folder.resolve("alone"), folder.resolve("out").resolve("transformer"));
    run(
        ConversionRequest.builder(PIPELINE.resolve("text_encoder"))
            .scheme(QuantSchemes.parse("nf4"))
            .output(folder.resolve("text"))
            .build());
    assertEqualTrees(folder.resolve("text"), folder.resolve("out").resolve("text_encoder"));
  }

  @Test
  void statisticsOfNoComponent() throws IOException {
    Path stats = write(TestStatistics.ALL.withComponent("unet"), ZIMAGE);
    Converter converter = new Converter();
    NibbleException stranger =
        assertThrows(
            NibbleException.class,
            () -> converter.plan(PipelineRequest.of(request(PIPELINE, stats, Use.GPTQ).build())));
    assertTrue(String.valueOf(stranger.getMessage()).contains("'unet'"), stranger.getMessage());
    assertFalse(Files.exists(folder.resolve("out")));
  }
}
