package dev.nibble.converter;

import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.GptqStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/// A conversion in a process of its own, for tests that kill it, starve it or measure it. Prints
/// `AT POINT` and waits to be killed when it comes to its failpoint; else `PEAK bytes` (anonymous
/// memory) or `FAILED message` at its end.
final class ConversionChild {
  private ConversionChild() {}

  /// @param args source, target, scheme, failpoint (`CONVERTING`, `COMMITTING`, `slice:N`, `none`),
  ///   then any of `force`, `original` (names), `gptq` (storage)
  public static void main(String[] args) throws InterruptedException {
    List<String> words = Arrays.asList(args);
    ConversionRequest.Builder builder =
        ConversionRequest.builder(Path.of(args[0]))
            .output(Path.of(args[1]))
            .scheme(QuantSchemes.parse(args[2]))
            .force(words.contains("force"));
    if (words.contains("original")) {
      builder.names(Dialect.ORIGINAL);
    }
    if (words.contains("gptq")) {
      builder.storage(new GptqStorage(1));
    }
    ConversionRequest request = builder.build();
    Failpoint failpoint = new Failpoint(args[3]);
    try {
      Converter converter = new Converter();
      if (PipelinePlanner.isPipeline(request.source())) {
        PipelinePlan plan = converter.plan(PipelineRequest.of(request));
        converter.runPipelines(List.of(plan), failpoint, new Cancellation());
      } else {
        converter.run(converter.plan(request), failpoint, new Cancellation());
      }
      System.out.println("PEAK " + failpoint.peak.get());
    } catch (IOException | RuntimeException e) {
      System.out.println("FAILED " + e.getMessage());
      System.exit(1);
    }
  }

  private static final class Failpoint implements ProgressListener {
    private final String name;
    private final AtomicLong peak = new AtomicLong();
    private int slices;

    Failpoint(String name) {
      this.name = name;
    }

    @Override
    public void progress(String tensor, long doneBytes, long totalBytes) {
      peak.accumulateAndGet(anonymousBytes(), Math::max);
      slices++;
      reached("slice:" + slices);
    }

    @Override
    public void stage(Stage stage) {
      reached(stage.name());
    }

    private void reached(String point) {
      if (point.equals(name)) {
        System.out.println("AT " + point);
        try {
          new CountDownLatch(1).await();
        } catch (InterruptedException e) {
          throw new AssertionError(e);
        }
      }
    }
  }

  /// Anonymous resident memory of this process, which Linux tells.
  static long anonymousBytes() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith("RssAnon:")) {
          return Long.parseLong(line.replaceAll("\\D", "")) << 10;
        }
      }
      throw new AssertionError("no RssAnon in /proc/self/status");
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
