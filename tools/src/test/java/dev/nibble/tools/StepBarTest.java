package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.StepListener.Progress;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class StepBarTest {
  private static final long SECOND = 1_000_000_000L;

  @Test
  void showsStepsAndTimeLeft() {
    assertEquals(
        " 25% ######..................  step 5/20  0:30 left",
        StepBar.line(new Progress(0, 1, 4, 20, 1, 1), 0, "", 10 * SECOND, false));
  }

  @Test
  void showsPicturesReuseAndLabelWhereThereAreSuch() {
    assertEquals(
        " 75% ##################......  step 10/20  picture 2/2  0:05 left  7 reused",
        StepBar.line(new Progress(1, 2, 9, 20, 0, 2), 7, "", 15 * SECOND, false));
    assertEquals(
        " 50% ############............  nf4, cache fora  step 10/20  0:15 left  7 reused",
        StepBar.line(new Progress(0, 1, 9, 20, 0, 2), 7, "nf4, cache fora", 15 * SECOND, false));
    String longest = StepBar.line(new Progress(0, 1, 0, 9, 1, 1), 1, "x".repeat(99), 1, true);
    assertEquals(79, longest.length());
  }

  @Test
  void showsHowMuchOfAModelIsLoaded() {
    assertEquals(
        " 25% ######..................  loading transformer, 1.00 GB of 4.00 GB",
        StepBar.line("transformer", 1_000_000_000L, 4_000_000_000L, false));
  }

  @Test
  void isSilentOffATerminalOrWhenQuietAndErasedOnOne() {
    assertEquals("", drawn(false, false));
    assertEquals("", drawn(true, true));
    String onTerminal = drawn(true, false);
    assertTrue(onTerminal.contains("step 1/2"), onTerminal);
    assertTrue(onTerminal.endsWith("\r\u001b[K"), onTerminal);
  }

  private static String drawn(boolean terminal, boolean quiet) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
    Session session = new Session(stream, stream, terminal, terminal, true, new Interruption());
    try (StepBar bar = new StepBar(session, "", quiet)) {
      bar.step(new Progress(0, 1, 0, 2, 1, 1));
    }
    return err.toString(StandardCharsets.UTF_8);
  }
}
