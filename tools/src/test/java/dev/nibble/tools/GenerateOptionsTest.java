package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.cuda.driver.CudaDriver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What `generate` refuses before it opens a pipeline.
class GenerateOptionsTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");

  @TempDir Path folder;

  private CommandRun generate(Object... more) {
    List<Object> words = new ArrayList<>(List.of("generate", MODEL, "--prompt", "red apple"));
    words.addAll(List.of(more));
    return CommandRun.of(words.toArray());
  }

  private List<Path> left() throws Exception {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--steps 0                 | --steps takes 1 or more, not 0",
        "--guidance -1             | --guidance takes a number from 0, not -1.0",
        "--guidance NaN            | --guidance takes a number from 0, not NaN",
        "--cfg-normalization -0.5  | --cfg-normalization takes a number from 0",
        "--cfg-truncation 1.5      | --cfg-truncation takes a number from 0 to 1, not 1.5",
        "--count 0                 | --count takes 1 to 1000, not 0",
        "--size 64x                | Invalid value for option '--size': '64x' is no size: write it as 1024x768",
        "--size 0x64               | Invalid value for option '--size': '0x64' is no size",
        "--size -1                 | Invalid value for option '--size': '-1' is no size",
        "--seed x                  | Invalid value for option '--seed': 'x' is not a long",
        "--strength 0.5            | --strength belongs to --init-image",
        "--init-image a --strength 0   | --strength takes a number above 0, up to 1, not 0.0",
        "--init-image a --strength 1.1 | --strength takes a number above 0, up to 1, not 1.1",
        "--threads 0               | --threads takes 1 to 1024, not 0",
        "--device gpu              | Invalid value for option '--device': 'gpu' is no device: cpu, cuda or cuda:N",
        "--device-memory 8G        | --device-memory bounds a GPU's memory: give --device cuda too",
        "--grid                    | --grid lays several pictures out: give --count too",
        "--count 2 --compare       | --compare draws one picture several ways",
        "--compare --save-latents x.safetensors | --compare draws one picture several ways",
        "--save-latents x.bin      | --save-latents takes X.safetensors, not x.bin",
        "-o out.jpg                | --output out.jpg: only PNG pictures are written: name X.png",
        "-o .png                   | --output .png: only PNG pictures are written",
        "--cache nonsense          | cache 'nonsense': there is no rule 'nonsense'; there are none, fbcache",
        "--cache dbcache:X=1       | cache 'dbcache:X=1': dbcache has no parameter 'X'; it takes F, B, ",
        "--promt                   | Unknown option: '--promt'"
      })
  void wrongUsageEndsWithItsLineAndTwo(String options, String expected) {
    CommandRun run = generate((Object[]) options.strip().split(" +"));
    assertEquals(2, run.code(), run.err());
    assertTrue(run.lastErrorLine().startsWith("error: " + expected), run.err());
    assertEquals("", run.out());
  }

  @Test
  void missingGpuIsAnErrorOfOneLineAndNeverTheProcessor() throws Exception {
    assumeFalse(CudaDriver.hasDevice(), "this machine has a GPU");
    CommandRun run = generate("--device", "cuda", "-o", folder.resolve("a.png"));
    assertEquals(1, run.code(), run.err());
    assertTrue(run.lastErrorLine().contains("NVIDIA driver"), run.err());
    assertTrue(run.lastErrorLine().endsWith("use the cpu device"), run.err());
    assertEquals(List.of(), left());
  }

  @Test
  void aPromptIsNeeded() {
    CommandRun run = CommandRun.of("generate", MODEL);
    assertEquals(2, run.code());
    assertEquals("error: Missing required option: '--prompt=TEXT'", run.lastErrorLine());
  }

  @ParameterizedTest
  @CsvSource({"1024x768, 1024, 768", "64, 64, 64", "48X32, 48, 32", "' 8x8 ', 8, 8"})
  void sizesAreReadAsPeopleWriteThem(String text, int width, int height) {
    assertEquals(new PictureSize(width, height), PictureSize.parse(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "x", "8x", "x8", "8x8x8", "08x8", "8.5x8", "9999999x8"})
  void whatIsNoSizeIsRefused(String text) {
    assertThrows(IllegalArgumentException.class, () -> PictureSize.parse(text));
  }

  @Test
  void aMissingDirectoryIsNamedBeforeAnyWork() {
    Path output = folder.resolve("none/out.png");
    CommandRun run = generate("-o", output);
    assertEquals(1, run.code());
    assertEquals(
        "error: %s: there is no directory %s: create it first, or choose another -o"
            .formatted(output, output.getParent()),
        run.lastErrorLine());
  }

  @ParameterizedTest
  @CsvSource({
    "out.png, -q",
    "out-1.png, --count=2",
    "x.safetensors, --save-latents=%s/x.safetensors"
  })
  void anOutputThatExistsIsKept(String name, String option) throws Exception {
    Path mine = Files.writeString(folder.resolve(name), "mine");
    CommandRun run = generate("-o", folder.resolve("out.png"), option.formatted(folder));
    assertEquals(1, run.code());
    assertEquals(
        "error: %s: exists already: give --force to replace it, or choose another output"
            .formatted(mine),
        run.lastErrorLine());
    assertEquals("mine", Files.readString(mine));
    assertEquals(List.of(mine), left());
  }

  @Test
  void aDirectoryIsNoPicture() throws Exception {
    Path output = Files.createDirectory(folder.resolve("out.png"));
    CommandRun run = generate("-o", output, "--force");
    assertEquals(1, run.code());
    assertTrue(run.lastErrorLine().startsWith("error: " + output + ": is a directory"), run.err());
  }

  @Test
  void theInitialPictureIsReadCheckedAndNeverReplaced() throws Exception {
    Path apple = MODEL.resolve("reference/0-red-apple-g0.png");
    CommandRun large = generate("--init-image", apple, "--size", "128x64");
    assertEquals(2, large.code());
    assertEquals(
        "error: --init-image %s is 64x64 and --size 128x64: scale the picture first, or leave --size out"
            .formatted(apple),
        large.lastErrorLine());
    Path none = folder.resolve("none.png");
    CommandRun missing = generate("--init-image", none);
    assertEquals(1, missing.code());
    assertEquals("error: " + none + ": no such file or directory", missing.lastErrorLine());
    Path mine = Files.copy(apple, folder.resolve("mine.png"));
    CommandRun same = generate("--init-image", mine, "-o", mine, "--force");
    assertEquals(1, same.code());
    assertTrue(same.lastErrorLine().contains("the output is the input"), same.err());
    assertEquals(Files.size(apple), Files.size(mine));
  }

  @Test
  void calibrationChecksItsOptionsAndPromptsFirst() throws Exception {
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), "\n  \n");
    CommandRun empty = CommandRun.of("calibrate", MODEL, "--prompts", prompts);
    assertEquals(1, empty.code());
    assertEquals(
        "error: " + prompts + ": holds no prompt: write one a line", empty.lastErrorLine());
    Path none = folder.resolve("none.txt");
    CommandRun missing = CommandRun.of("calibrate", MODEL, "--prompts", none);
    assertEquals(1, missing.code());
    assertEquals("error: " + none + ": no such file or directory", missing.lastErrorLine());
    for (String[] wrong :
        new String[][] {{"--steps", "1"}, {"-o", "x.txt"}, {"--guidance", "-1"}}) {
      CommandRun run = CommandRun.of("calibrate", MODEL, "--prompts", prompts, wrong[0], wrong[1]);
      assertEquals(2, run.code(), run.err());
    }
  }

  @Test
  void namesOfSeveralPicturesAreNumbered() {
    assertEquals(List.of(Path.of("a/fox.png")), PictureFiles.names(Path.of("a/fox.png"), 1));
    assertEquals(
        List.of(Path.of("a/fox-0.PNG"), Path.of("a/fox-1.PNG")),
        PictureFiles.names(Path.of("a/fox.PNG"), 2));
  }
}
