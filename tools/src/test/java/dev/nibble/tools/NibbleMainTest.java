package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Exit codes, and which stream says what.
class NibbleMainTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "quantize                                     | error: Missing required parameter: 'MODEL'",
        "quantize m.safetensors                       | error: say which scheme: --nf4",
        "quantize m.safetensors --nf4 --int8          | error: two schemes for every layer",
        "quantize m.safetensors --nf4 --scheme fp4    | error: two schemes for every layer",
        "quantize m.safetensors --nf4 --block-size 33 | error: --block-size takes a power of two",
        "quantize m.safetensors --int8 --block-size 64| error: --block-size and --no-double-quant",
        "quantize m.safetensors --scheme q9           | error: --scheme q9: unknown scheme 'q9'",
        "quantize m.safetensors --nf4 --dtype f8      | error: --dtype takes bf16, not 'f8'",
        "quantize m.safetensors --nf4 --threads 0     | error: --threads takes 1 to 1024, not 0",
        "quantize m.safetensors --nf4 --memory 3X     | error: Invalid value for option '--memory'",
        "quantize m.safetensors --nf4 --nope          | error: Unknown option: '--nope'",
        "verify a b --min-snr 3 --bit-exact           | error: --bit-exact, --min-snr=DB are",
        "verify a                                     | error: Missing required parameter: 'B'",
        "quantize m --nf4 --dry-run --report x.html   | error: --report shows a result",
        "verify a b --max-rel-error -1                | error: --max-rel-error takes a number from 0",
        "verify a b --max-rel-error NaN               | error: --max-rel-error takes a number from 0",
        "verify a b --min-snr NaN                     | error: --min-snr takes a number of decibels",
        "quantize m.safetensors --nf4 --family foo    | error: --family takes ",
        "quantize m.safetensors --scheme NF4          | error: --scheme NF4: unknown scheme: did you",
        "nonsense                                     | error: Unmatched argument",
        "''                                           | error: give a command"
      })
  void wrongUsageEndsWithItsLineAndTwo(String line, String expected) {
    String[] args = line.isEmpty() ? new String[0] : line.split(" +");
    CommandRun run = CommandRun.of((Object[]) args);
    assertEquals(2, run.code(), run.err());
    assertTrue(run.lastErrorLine().startsWith(expected), run.err());
    assertEquals("", run.out());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "quantize",
        "generate",
        "calibrate",
        "inspect",
        "dequantize",
        "verify",
        "completion"
      })
  void helpGoesToStandardOutput(String command) {
    CommandRun run = CommandRun.of(command, "--help");
    assertEquals(0, run.code());
    assertTrue(run.out().startsWith("Usage: "), run.out());
    assertEquals("", run.err());
    for (String line : run.out().lines().toList()) {
      assertTrue(line.length() <= 80, line);
    }
  }

  @Test
  void failuresEndWithOne() {
    for (List<String> command :
        List.of(
            List.of("inspect", "no/such/file"),
            List.of("quantize", "no/such/file", "--nf4"),
            List.of("dequantize", "no/such/file"),
            List.of("verify", "no/such/file", "no/such/other"))) {
      CommandRun run = CommandRun.of(command.toArray());
      assertEquals(1, run.code(), run.err());
      assertTrue(run.lastErrorLine().startsWith("error: no/such/file: "), run.err());
      assertEquals(1, run.err().lines().count(), run.err());
      assertEquals("", run.out());
    }
  }

  @Test
  void debugAddsTheTraceBeforeTheLine() {
    CommandRun run = CommandRun.of("inspect", "no/such/file", "--debug");
    assertTrue(run.err().contains("at dev.nibble."), run.err());
    assertTrue(run.lastErrorLine().startsWith("error: "), run.err());
  }

  @Test
  void completionNamesEveryCommand() {
    CommandRun run = CommandRun.of("completion");
    assertEquals(0, run.code());
    for (String word :
        List.of("quantize", "inspect", "--min-snr", "--no-double-quant", "--cfg-truncation")) {
      assertTrue(run.out().contains(word), word);
    }
    assertFalse(run.out().contains("OldClasses"));
  }

  @Test
  void versionIsOneLine() {
    CommandRun run = CommandRun.of("--version");
    assertEquals(0, run.code());
    assertTrue(run.out().matches("nibble \\d+\\.\\d+\\.\\d+\\R"), run.out());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "--skip   | \"\"",
        "--skip   | ,",
        "--skip   | img_mod, ,txt_mod",
        "--only   | \" \"",
        "--scheme | =nf4"
      })
  void anEmptyPatternIsWrongUsage(String option, String value) {
    CommandRun run = CommandRun.of("quantize", "m", "--nf4", option, value);
    assertEquals(2, run.code(), run.err());
    assertEquals(
        "error: " + option + " takes a module pattern, not an empty text", run.lastErrorLine());
  }

  @ParameterizedTest
  @ValueSource(strings = {"ckpt", "pt", "pth", "bin", "onnx", "PT"})
  void filesOfOtherFormatsAreNotWritten(String ending) {
    for (List<String> command :
        List.of(
            List.of("quantize", "m", "--nf4", "-o", "out." + ending),
            List.of("dequantize", "m", "-o", "out." + ending))) {
      CommandRun run = CommandRun.of(command.toArray());
      assertEquals(2, run.code(), run.err());
      assertTrue(run.lastErrorLine().contains("only .safetensors"), run.err());
    }
  }

  @Test
  void emptyPathsAreWrongUsage() {
    for (List<String> command :
        List.of(
            List.of("quantize", "", "--nf4"),
            List.of("quantize", "m", "--nf4", "-o", ""),
            List.of("quantize", "m", "--nf4", "--config", ""),
            List.of("quantize", "m", "--nf4", "--report", ""),
            List.of("inspect", ""),
            List.of("dequantize", ""),
            List.of("dequantize", "m", "-o", ""),
            List.of("verify", "m", ""))) {
      CommandRun run = CommandRun.of(command.toArray());
      assertEquals(2, run.code(), command + run.err());
      assertTrue(run.lastErrorLine().contains("empty text"), run.err());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "quantise, did you mean quantize? ",
    "quant, did you mean quantize? ",
    "dequantise, did you mean dequantize? ",
    "nonsense, ''"
  })
  void onlyNearCommandsAreSuggested(String command, String hint) {
    CommandRun run = CommandRun.of(command);
    assertEquals(2, run.code());
    String shown = hint.isEmpty() ? "" : hint.strip() + " ";
    assertEquals(shown + "Try 'nibble --help'.", run.err().lines().findFirst().orElseThrow());
  }

  @Test
  void nearOptionsAreSuggested() {
    CommandRun run = CommandRun.of("quantize", "m", "--nf4", "--skp", "x");
    assertTrue(run.err().startsWith("did you mean --skip? Try"), run.err());
  }
}
