package dev.nibble.runtime;

import static dev.nibble.runtime.Close.assertClose;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.cache.FbCache;
import dev.nibble.runtime.cache.StepCaches;
import dev.nibble.runtime.image.Pictures;
import dev.nibble.runtime.image.RgbImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The whole way from prompt to picture, against diffusers.
class PipelineTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");
  private static final Path QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen");

  private static Pipeline pipeline;

  @BeforeAll
  static void open() throws IOException {
    pipeline = Pipeline.open(MODEL, PipelineOptions.defaults());
  }

  @AfterAll
  static void close() {
    pipeline.close();
  }

  /// The reference latents are torch's noise of these seeds.
  private static GenerationRequest request(int prompt, String text) {
    return GenerationRequest.of(text).withSeed(seedOf(prompt));
  }

  private static long seedOf(int prompt) {
    return 1000L + prompt;
  }

  @ParameterizedTest
  @CsvSource({
    "0,red apple",
    "1,grinning face",
    "2,rocket",
    "3,cat face",
    "4,pizza",
    "5,green heart"
  })
  void drawsWhatDiffusersDraws(int prompt, String text) throws IOException {
    checkImage(
        "models/emoji-zimage/reference/run-g0.safetensors",
        prompt,
        pipeline.generate(request(prompt, text)));
    checkImage(
        "models/emoji-zimage/reference/run-g1.safetensors",
        prompt,
        pipeline.generate(request(prompt, text).withGuidance(1)));
  }

  @ParameterizedTest
  @CsvSource({"0,red apple", "2,rocket"})
  void drawsWithAnotherFamilysTransformer(int prompt, String text) throws IOException {
    try (Pipeline qwen = Pipeline.open(MODEL, PipelineOptions.defaults().withTransformer(QWEN))) {
      checkImage(
          "models/emoji-qwen/reference/run-cfg1.safetensors",
          prompt,
          qwen.generate(request(prompt, text)));
      checkImage(
          "models/emoji-qwen/reference/run-cfg2.safetensors",
          prompt,
          qwen.generate(request(prompt, text).withGuidance(2)));
    }
  }

  /// Within 1/255 for 99.9 % of the channels.
  private static void checkImage(String run, int prompt, Generation drawn) throws IOException {
    float[] expected = TensorFile.read(run).values(prompt + ".image");
    RgbImage image = drawn.images().getFirst().image();
    int far = 0;
    for (int c = 0; c < 3; c++) {
      for (int y = 0; y < 64; y++) {
        for (int x = 0; x < 64; x++) {
          float unit = Math.clamp(expected[(c * 64 + y) * 64 + x] / 2 + 0.5f, 0f, 1f);
          if (Math.abs(Math.rint(unit * 255) - image.get(x, y, c)) > 1) {
            far++;
          }
        }
      }
    }
    assertTrue(far <= 12, far + " of 12288 channels differ by more than 1");
  }

  @Test
  void oneRequestForThreeEqualsPartsOfOneNoise() {
    GenerationRequest three = GenerationRequest.of("fruit").withSeed(5).withSteps(4).withCount(3);
    Generation all = pipeline.generate(three);
    assertEquals(3, all.images().size());
    Generation first = pipeline.generate(three.withCount(1));
    assertArrayEquals(
        first.images().getFirst().latents().values(), all.images().getFirst().latents().values());
    assertEquals("2 of 3", all.images().get(2).parameters().get("image"));
  }

  @Test
  void theReportNamesEveryStep() throws IOException {
    Generation drawn =
        pipeline.generate(
            request(0, "red apple").withCache(StepCaches.parse("fbcache:threshold=0.0202")));
    RuntimeReport.Image report = drawn.report().images().getFirst();
    assertEquals(20, report.steps().size());
    assertEquals(20, report.calls());
    assertTrue(report.computed() < 20, "some steps are reused");
    assertTrue(drawn.report().cache().startsWith("fbcache:"), drawn.report().cache());
    assertEquals(
        List.of("text_encoder", "transformer", "vae"),
        drawn.report().components().stream().map(RuntimeReport.Component::name).toList());
    assertTrue(drawn.report().components().get(1).weightBytes() >= 14_700_000, "bytes of bfloat16");
  }

  @Test
  void manyThreadsDrawWhatOneDraws() throws IOException, InterruptedException, ExecutionException {
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      GenerationRequest request = GenerationRequest.of("rocket").withSeed(i).withSteps(3);
      requests.add(
          i % 2 == 0 ? request : request.withCache(StepCaches.parse("fbcache:threshold=0.5")));
    }
    List<float[]> alone = new ArrayList<>();
    for (GenerationRequest request : requests) {
      alone.add(pipeline.generate(request).images().getFirst().latents().values());
    }
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<Generation>> futures = new ArrayList<>();
      for (GenerationRequest request : requests) {
        futures.add(threads.submit(() -> pipeline.generate(request)));
      }
      for (int i = 0; i < requests.size(); i++) {
        assertArrayEquals(
            alone.get(i), futures.get(i).get().images().getFirst().latents().values());
      }
    }
  }

  @Test
  void cancellingEndsWithinAStepAndGivesAllBack() {
    long before = pipeline.openBytes();
    Cancellation cancellation = new Cancellation();
    List<Integer> steps = new ArrayList<>();
    assertThrows(
        GenerationCancelledException.class,
        () ->
            pipeline.generate(
                GenerationRequest.of("pizza"),
                progress -> {
                  steps.add(progress.step());
                  if (progress.step() == 2) {
                    cancellation.cancel();
                  }
                },
                cancellation));
    assertEquals(List.of(0, 1, 2), steps);
    assertEquals(before, pipeline.openBytes());
  }

  @Test
  void loadingIsToldOfAndCanBeCancelled() throws IOException {
    List<Long> done = new ArrayList<>();
    List<Long> totals = new ArrayList<>();
    List<String> components = new ArrayList<>();
    LoadListener listener =
        (component, doneBytes, totalBytes) -> {
          components.add(component);
          done.add(doneBytes);
          totals.add(totalBytes);
        };
    Pipeline.open(MODEL, PipelineOptions.defaults(), listener, new Cancellation()).close();
    assertEquals(
        List.of("text_encoder", "transformer", "vae"), components.stream().distinct().toList());
    assertEquals(done.stream().sorted().toList(), done);
    assertEquals(1, totals.stream().distinct().count());
    // The text encoder's last layer is not used.
    assertTrue(
        done.getLast() <= totals.getLast() && done.getLast() >= 0.95 * totals.getLast(),
        done.getLast() + " of " + totals.getLast());

    Cancellation cancellation = new Cancellation();
    List<Long> before = new ArrayList<>();
    assertThrows(
        GenerationCancelledException.class,
        () ->
            Pipeline.open(
                MODEL,
                PipelineOptions.defaults(),
                (_, doneBytes, _) -> {
                  before.add(doneBytes);
                  cancellation.cancel();
                },
                cancellation));
    assertEquals(1, before.size());
  }

  @Test
  void aListenerThatThrowsLeavesNothingOpen() {
    long before = pipeline.openBytes();
    assertThrows(
        IllegalStateException.class,
        () ->
            pipeline.generate(
                GenerationRequest.of("pizza"),
                _ -> {
                  throw new IllegalStateException("listener");
                },
                new Cancellation()));
    assertEquals(before, pipeline.openBytes());
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.6", "1.0"})
  void startsFromAPictureAsDiffusersDoes(String strength) throws IOException {
    RgbImage apple =
        Pictures.read(Fixtures.path("models/emoji-zimage/reference/0-red-apple-g0.png"));
    GenerationRequest request =
        GenerationRequest.of("green heart")
            .withSeed(7)
            .withInitial(new InitialImage(apple, Double.parseDouble(strength)));
    assertClose(
        "latents",
        TensorFile.read("goldens/img2img/img2img.safetensors").values("latents." + strength),
        pipeline.generate(request).images().getFirst().latents().values());
  }

  @Test
  void aPictureToStartFromHasTheSizeOfTheResult() {
    InitialImage white = new InitialImage(new RgbImage(2, 1, new byte[6]), 0.5);
    GenerationRequest request = GenerationRequest.of("x").withInitial(white).withSize(64, 64);
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> pipeline.generate(request));
    assertEquals(
        "the picture to start from is 2x1 but the size asked for 64x64: scale it first",
        refusal.getMessage());
  }

  @Test
  void sizesMustFitTokens() {
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> pipeline.generate(GenerationRequest.of("x").withSize(70, 64)));
    assertEquals(
        "size 70x64: width and height must be multiples of 16, such as 64x64",
        refusal.getMessage());
  }

  @Test
  void equalRequestsGiveEqualPictures() throws IOException {
    GenerationRequest request =
        GenerationRequest.of("car").withSteps(5).withCache(new FbCache(0.2, 0));
    assertTrue(
        Arrays.equals(
            pipeline.generate(request).images().getFirst().image().toBytes(),
            pipeline.generate(request).images().getFirst().image().toBytes()));
  }
}
