package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.quant.QuantSchemes;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What is left when a conversion dies, is starved, or meets broken input: the source untouched,
/// nothing half-written under the target's name.
class FaultTest {
  @TempDir Path folder;
  private Path source;
  private Path target;

  @BeforeEach
  void copySource() throws IOException {
    source = Files.createDirectory(folder.resolve("transformer"));
    copyTree(Fixtures.path("models/emoji-qwen/transformer-qwen"), source);
    target = folder.resolve("out");
  }

  private static void copyTree(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
    }
  }

  private ConversionReport convert(Path output, boolean force) throws IOException {
    Converter converter = new Converter();
    ConversionRequest request =
        ConversionRequest.builder(source)
            .output(output)
            .scheme(QuantSchemes.parse("nf4"))
            .force(force)
            .build();
    return converter.run(converter.plan(request), ProgressListener.none(), new Cancellation());
  }

  private List<String> namesIn(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  private static void assertSameFiles(Path expected, Path actual) throws IOException {
    try (Stream<Path> files = Files.list(expected)) {
      for (Path file : files.toList()) {
        assertArrayEquals(
            Files.readAllBytes(file),
            Files.readAllBytes(actual.resolve(file.getFileName())),
            String.valueOf(file.getFileName()));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"HASHING", "CONVERTING", "slice:1", "slice:20", "COMMITTING"})
  void killedAtFailpointLeavesNothingUnderTheTargetName(String failpoint) throws Exception {
    List<String> args = List.of(source.toString(), target.toString(), "nf4", failpoint);
    try (ChildProcess child = ChildProcess.start("", args)) {
      assertEquals("AT " + failpoint, child.line());
      child.kill();
    }
    assertFalse(Files.exists(target));
    assertSameFiles(Fixtures.path("models/emoji-qwen/transformer-qwen"), source);

    convert(target, false);
    convert(folder.resolve("undisturbed"), false);
    assertSameFiles(folder.resolve("undisturbed"), target);
  }

  @ParameterizedTest
  @ValueSource(strings = {"CONVERTING", "slice:20", "COMMITTING"})
  void killedWhileReplacingKeepsTheOldOutput(String failpoint) throws Exception {
    convert(target, false);
    Path before = Files.createDirectory(folder.resolve("before"));
    copyTree(target, before);
    List<String> args = List.of(source.toString(), target.toString(), "fp4", failpoint, "force");
    try (ChildProcess child = ChildProcess.start("", args)) {
      assertEquals("AT " + failpoint, child.line());
      child.kill();
    }
    assertSameFiles(before, target);
  }

  /// A GGUF file has its header first: only its name tells that it is complete.
  @ParameterizedTest
  @ValueSource(strings = {"CONVERTING", "slice:20", "COMMITTING"})
  void killedGgufLeavesNothingUnderTheTargetName(String failpoint) throws Exception {
    Path file = folder.resolve("q.gguf");
    List<String> args = List.of(source.toString(), file.toString(), "gguf:q8_0", failpoint);
    try (ChildProcess child = ChildProcess.start("", args)) {
      assertEquals("AT " + failpoint, child.line());
      child.kill();
    }
    assertFalse(Files.exists(file));
    assertSameFiles(Fixtures.path("models/emoji-qwen/transformer-qwen"), source);
  }

  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void aFullDiskLeavesNoPartOfAGguf() throws Exception {
    Path file = folder.resolve("q.gguf");
    List<String> args = List.of(source.toString(), file.toString(), "gguf:q8_0", "none");
    try (ChildProcess child = ChildProcess.start("ulimit -f 1000", args)) {
      String line = child.line();
      assertTrue(line.startsWith("FAILED ") && line.contains("ulimit -f"), line);
      assertEquals(1, child.await());
    }
    assertEquals(List.of("transformer"), namesIn(folder));
  }

  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void aFullDiskFailsInOneLineAndLeavesNoLitter() throws Exception {
    List<String> args = List.of(source.toString(), target.toString(), "nf4", "none");
    try (ChildProcess child = ChildProcess.start("ulimit -f 1000", args)) {
      String line = child.line();
      assertTrue(line.startsWith("FAILED ") && line.contains("ulimit -f"), line);
      assertEquals(1, child.await());
    }
    assertEquals(List.of("transformer"), namesIn(folder));
  }

  @Test
  void cancellationLeavesNoLitter() {
    Cancellation cancellation = new Cancellation();
    Converter converter = new Converter();
    ConversionRequest request =
        ConversionRequest.builder(source).output(target).scheme(QuantSchemes.parse("nf4")).build();
    assertThrows(
        ConversionCancelledException.class,
        () ->
            converter.run(
                converter.plan(request),
                (tensor, done, total) -> cancellation.cancel(),
                cancellation));
    assertEquals(List.of("transformer"), assertNoThrow(() -> namesIn(folder)));
  }

  private static void assertMessage(String part, Exception e) {
    assertTrue(String.valueOf(e.getMessage()).contains(part), String.valueOf(e.getMessage()));
  }

  private interface Reading<T> {
    T read() throws IOException;
  }

  private static <T> T assertNoThrow(Reading<T> reading) {
    try {
      return reading.read();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aTruncatedShardIsNamedWithTheCure() throws IOException {
    Path shard = source.resolve("diffusion_pytorch_model-00002-of-00002.safetensors");
    try (RandomAccessFile file = new RandomAccessFile(shard.toFile(), "rw")) {
      file.setLength(file.length() - 1000);
    }
    NibbleException e = assertThrows(NibbleException.class, () -> convert(target, false));
    assertMessage(shard.toString(), e);
    assertMessage("incomplete", e);
    assertEquals(List.of("transformer"), namesIn(folder));
  }

  @Test
  void aMissingOrUnreadableShardIsNamed() throws IOException {
    Path shard = source.resolve("diffusion_pytorch_model-00002-of-00002.safetensors");
    Files.delete(shard);
    Exception missing = assertThrows(Exception.class, () -> convert(target, false));
    assertTrue(String.valueOf(missing.getMessage()).contains(shard.toString()));
    // A directory in its place can't be read even by root, who may read files of mode 0.
    Files.createDirectory(shard);
    Exception unreadable = assertThrows(Exception.class, () -> convert(target, false));
    assertTrue(String.valueOf(unreadable.getMessage()).contains(shard.toString()));
    assertEquals(List.of("transformer"), namesIn(folder));
  }

  @Test
  void aTargetBelowARegularFileIsRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "mine");
    Exception e =
        assertThrows(NibbleException.class, () -> convert(file.resolve("deep/out"), false));
    assertMessage(file.toString(), e);
    assertEquals("mine", Files.readString(file));
  }

  @Test
  void anOutputThatExistsIsKeptWithoutForce() throws IOException {
    convert(target, false);
    Path before = Files.createDirectory(folder.resolve("before"));
    copyTree(target, before);
    NibbleException e = assertThrows(NibbleException.class, () -> convert(target, false));
    assertMessage("--force", e);
    assertSameFiles(before, target);
    convert(target, true);
    assertSameFiles(before, target);
  }

  @Test
  void forceLosesNoOtherFile() throws IOException {
    convert(target, false);
    Path mine = Files.writeString(target.resolve("lora.safetensors"), "mine");
    NibbleException e = assertThrows(NibbleException.class, () -> convert(target, true));
    assertMessage("lora.safetensors", e);
    assertEquals("mine", Files.readString(mine));
  }

  @Test
  void dequantizingNeverWritesIntoItsSource() throws IOException {
    convert(target, false);
    Path before = Files.createDirectory(folder.resolve("before"));
    copyTree(target, before);
    for (Path output :
        List.of(
            target,
            target.resolve("diffusion_pytorch_model.safetensors"),
            target.resolve("inside"))) {
      DequantizeRequest request =
          new DequantizeRequest(
              target,
              Optional.empty(),
              Optional.of(output),
              output.toString().endsWith("s")
                  ? ConversionRequest.OutputForm.FILE
                  : ConversionRequest.OutputForm.DIRECTORY,
              true,
              ConversionRequest.DEFAULT_SHARD_BYTES,
              2,
              ConversionRequest.DEFAULT_MEMORY_BYTES);
      NibbleException e =
          assertThrows(
              NibbleException.class,
              () -> new Dequantizer().run(request, ProgressListener.none(), new Cancellation()));
      assertMessage("the input", e);
    }
    assertSameFiles(before, target);
  }

  @Test
  void oneShardIsNoModel() throws IOException {
    Path shard = source.resolve("diffusion_pytorch_model-00001-of-00002.safetensors");
    ConversionRequest request =
        ConversionRequest.builder(shard).scheme(QuantSchemes.parse("nf4")).build();
    NibbleException e = assertThrows(NibbleException.class, () -> new Converter().plan(request));
    assertMessage("shard 1 of 2", e);
  }

  @Test
  void theConfigurationOfAnotherFamilyIsRefused() {
    ConversionRequest request =
        ConversionRequest.builder(source)
            .config(Fixtures.path("models/emoji-zimage/transformer/config.json"))
            .scheme(QuantSchemes.parse("nf4"))
            .build();
    NibbleException e = assertThrows(NibbleException.class, () -> new Converter().plan(request));
    assertMessage("Z-Image", e);
    assertMessage("Qwen-Image", e);
  }

  @Test
  void aBrokenConfigurationIsNamedWithItsPlace() throws IOException {
    Files.writeString(source.resolve("config.json"), "{\n  \"a\": ");
    NibbleException e = assertThrows(NibbleException.class, () -> convert(target, false));
    assertMessage("config.json", e);
    assertMessage("at byte 9", e);
  }

  @Test
  void theSourceIsNeverTheTarget() throws IOException {
    for (Path output : List.of(source, source.resolve("inside"), folder)) {
      NibbleException e = assertThrows(NibbleException.class, () -> convert(output, true));
      assertMessage("the input", e);
    }
    assertSameFiles(Fixtures.path("models/emoji-qwen/transformer-qwen"), source);
  }
}
