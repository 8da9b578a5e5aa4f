package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ProgressBarTest {
  @Test
  void showsRateAndTimeLeft() {
    String line =
        ProgressBar.line("blocks.0.weight", 2_500_000_000L, 10_000_000_000L, 500_000_000L, false);
    assertEquals(" 25% ######.................. 5.00 GB/s  0:02 left  blocks.0.weight", line);
  }

  @Test
  void fitsALineWhateverTheName() {
    String line = ProgressBar.line("x".repeat(500), 1, 1L << 50, 1, true);
    assertTrue(line.length() <= 79, line);
  }

  @Test
  void isSilentOffATerminalAndErasedOnOne() {
    assertEquals("", drawn(false));
    String onTerminal = drawn(true);
    assertTrue(onTerminal.contains("GB/s"), onTerminal);
    assertTrue(onTerminal.endsWith("\r\u001b[K"), onTerminal);
  }

  private static String drawn(boolean terminal) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
    Session session = new Session(stream, stream, terminal, terminal, true, new Interruption());
    try (ProgressBar bar = new ProgressBar(session, false)) {
      bar.progress("a.weight", 1, 2);
    }
    return err.toString(StandardCharsets.UTF_8);
  }
}
