package dev.nibble.runtime;

import dev.nibble.runtime.cache.StepCaches;
import dev.nibble.runtime.image.Png;
import java.io.IOException;
import java.nio.file.Path;

/// The README's example; {@link ReadmeExampleTest} runs it and compares the text.
final class ReadmeExample {
  private ReadmeExample() {}

  static void draw(Path model, Path transformer, Path output) throws IOException {
    // README begins
    PipelineOptions options = PipelineOptions.defaults().withTransformer(transformer);
    try (Pipeline pipeline = Pipeline.open(model, options)) { // once; serves all threads
      GenerationRequest request =
          GenerationRequest.of("red apple")
              .withSeed(1000)
              .withCache(StepCaches.parse("dbcache:F=1,B=0,threshold=0.08"));
      Cancellation cancellation = new Cancellation(); // cancel() from any thread
      Generation drawn =
          pipeline.generate(
              request,
              progress -> System.out.println(progress.step() + 1 + "/" + progress.steps()),
              cancellation);
      GeneratedImage picture = drawn.images().getFirst();
      Png.write(output, picture.image(), picture.parameters(), false);
    }
    // README ends
  }
}
