package dev.nibble.runtime;

import dev.nibble.fixtures.Fixtures;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/// The miniature's 20-step picture by nibble and by diffusers, in turn in one run, models loaded:
/// what drifts with the machine drifts for both. The rival is a process of its own that waits while
/// nibble draws, and the other way round. See PERFORMANCE.md.
public final class PictureBenchmark {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");
  private static final int STEPS = 20;
  private static final int WARM_UP = 10;

  private PictureBenchmark() {}

  /// Arguments: a Python that has diffusers; threads of either side; pictures of each. Runs in the
  /// module's folder.
  public static void main(String[] arguments) throws IOException, InterruptedException {
    int threads = Integer.parseInt(arguments[1]);
    int pictures = Integer.parseInt(arguments[2]);
    Process rival =
        new ProcessBuilder(
                arguments[0],
                "src/test/bench/diffusers_picture.py",
                MODEL.toString(),
                String.valueOf(threads),
                String.valueOf(STEPS))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedWriter asks = rival.outputWriter();
        BufferedReader answers = rival.inputReader();
        Pipeline pipeline = Pipeline.open(MODEL, PipelineOptions.defaults().withThreads(threads))) {
      String peer = answer(answers);
      double[] ours = new double[pictures];
      double[] theirs = new double[pictures];
      for (int i = -WARM_UP; i < pictures; i++) {
        double mine = draw(pipeline);
        asks.write("red apple\n");
        asks.flush();
        double other = Double.parseDouble(answer(answers));
        if (i >= 0) {
          ours[i] = mine;
          theirs[i] = other;
        }
      }
      Arrays.sort(ours);
      Arrays.sort(theirs);
      print("%d threads, %d pictures each, seconds a picture%n", threads, pictures);
      print("%-40s %8s %8s%n", "", "median", "least");
      print("%-40s %8.4f %8.4f%n", "nibble", ours[pictures / 2], ours[0]);
      print("%-40s %8.4f %8.4f%n", peer, theirs[pictures / 2], theirs[0]);
      print(
          "%-40s %8.2f %8.2f%n",
          "nibble is faster by a factor of",
          theirs[pictures / 2] / ours[pictures / 2],
          theirs[0] / ours[0]);
    }
    rival.waitFor();
  }

  private static double draw(Pipeline pipeline) {
    GenerationRequest request = GenerationRequest.of("red apple").withSteps(STEPS).withGuidance(0);
    long start = System.nanoTime();
    pipeline.generate(request);
    return (System.nanoTime() - start) / 1e9;
  }

  private static String answer(BufferedReader answers) throws IOException {
    String line = answers.readLine();
    if (line == null) {
      throw new IOException("diffusers_picture.py ended early; see above");
    }
    return line;
  }

  @SuppressWarnings("AnnotateFormatMethod") // its annotation would be a dependency more
  private static void print(String format, Object... arguments) {
    System.out.printf(Locale.ROOT, format, arguments);
  }
}
