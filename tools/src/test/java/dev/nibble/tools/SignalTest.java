package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.nibble.fixtures.Fixtures;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Ctrl-C and `kill` in the midst of a conversion or generation: the exit code, the last line, and
/// nothing left.
@EnabledOnOs({OS.LINUX, OS.MAC}) // where kill(1) is
class SignalTest {
  /// Large enough that no machine has converted it before the signal comes; takes no room.
  private static final long ROWS = 1 << 21;

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({"INT, 130", "TERM, 143"})
  void anInterruptedConversionLeavesNothing(String signal, int code) throws Exception {
    Path source = folder.resolve("big.safetensors");
    writeSparse(source);
    String output = folder.resolve("out.safetensors").toString();
    interrupt(signal, code, "quantize", source.toString(), "--nf4", "-o", output);
    assertEquals(List.of("big.safetensors", "errors.txt"), namesIn(folder));
  }

  @ParameterizedTest
  @CsvSource({"INT, 130", "TERM, 143"})
  void anInterruptedGenerationLeavesNothing(String signal, int code) throws Exception {
    String model = Fixtures.path("models/emoji-zimage").toString();
    String output = folder.resolve("out.png").toString();
    interrupt(signal, code, "generate", model, "-p", "red apple", "--steps", "1000", "-o", output);
    assertEquals(List.of("errors.txt"), namesIn(folder));
  }

  @ParameterizedTest
  @CsvSource({"INT, 130", "TERM, 143"})
  void anInterruptedEvaluationLeavesNothing(String signal, int code) throws Exception {
    Path model = Fixtures.path("models/emoji-zimage");
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), "red apple");
    interrupt(
        signal,
        code,
        "evaluate",
        model.toString(),
        "--prompts",
        prompts.toString(),
        "--variant",
        "same=" + model.resolve("transformer"),
        "--steps",
        "1000",
        "--html",
        folder.resolve("report.html").toString());
    assertEquals(List.of("errors.txt", "prompts.txt"), namesIn(folder));
  }

  /// Runs a command in a process of its own and interrupts it when it has begun its output.
  private void interrupt(String signal, int code, String... words) throws Exception {
    Path errors = folder.resolve("errors.txt");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--add-modules=jdk.incubator.vector");
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-cp");
    command.add(
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
    command.add(NibbleMain.class.getName());
    command.addAll(List.of(words));
    Process process =
        new ProcessBuilder(command)
            .redirectError(errors.toFile())
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      while (namesIn(folder).stream().noneMatch(name -> name.endsWith(".tmp"))) {
        assertFalse(!process.isAlive(), () -> "ended by itself: " + text(errors));
        Thread.onSpinWait();
      }
      new ProcessBuilder("kill", "-" + signal, String.valueOf(process.pid())).start().waitFor();
      assertEquals(code, process.waitFor(), () -> text(errors));
    } finally {
      process.destroyForcibly();
    }
    assertEquals(
        "error: interrupted; nothing was written", text(errors).lines().toList().getLast());
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static List<String> namesIn(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  private static void writeSparse(Path file) throws IOException {
    long bytes = ROWS * 4096 * 2;
    String header =
        "{\"transformer_blocks.0.attn.to_q.weight\":{\"dtype\":\"BF16\",\"shape\":[%d,4096],\"data_offsets\":[0,%d]}}"
            .formatted(ROWS, bytes);
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      out.writeLong(Long.reverseBytes(header.length()));
      out.write(header.getBytes(StandardCharsets.UTF_8));
      out.setLength(8 + header.length() + bytes);
    }
  }
}
