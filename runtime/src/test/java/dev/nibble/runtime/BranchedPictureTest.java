package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.image.ImageMetrics;
import dev.nibble.runtime.weights.RewrittenComponent;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A model whose weights have branches draws what the model of its dequantized weights draws.
class BranchedPictureTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");
  private static final GenerationRequest REQUEST =
      GenerationRequest.of("red apple").withSeed(1000).withSteps(6);

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"nf4+svd8", "int4:g64+svd4", "nf4+scale"})
  void drawsWhatTheDequantizedModelDraws(String id) throws IOException {
    check(folder, id, PipelineOptions.defaults(), 60);
  }

  static void check(Path folder, String id, PipelineOptions options, double leastPsnr)
      throws IOException {
    Path branched = folder.resolve("branched");
    Path dense = folder.resolve("dense");
    RewrittenComponent.quantized(
        MODEL.resolve("transformer"), branched, QuantSchemes.parse(id), Optional.empty());
    RewrittenComponent.dense(branched, dense);
    try (Pipeline expected =
            Pipeline.open(MODEL, PipelineOptions.defaults().withTransformer(dense));
        Pipeline tested = Pipeline.open(MODEL, options.withTransformer(branched))) {
      Generation first = tested.generate(REQUEST);
      long open = tested.openBytes();
      Generation second = tested.generate(REQUEST);
      assertEquals(open, tested.openBytes(), "memory after a request");
      double psnr =
          ImageMetrics.psnr(
              expected.generate(REQUEST).images().getFirst().image(),
              first.images().getFirst().image());
      assertTrue(psnr > leastPsnr, id + ": PSNR " + psnr);
      assertEquals(
          Double.POSITIVE_INFINITY,
          ImageMetrics.psnr(first.images().getFirst().image(), second.images().getFirst().image()));
    }
  }
}
