package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.Converter;
import dev.nibble.converter.GgufMix;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.image.ImageMetrics;
import dev.nibble.runtime.image.RgbImage;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What 4-bit weights do to a picture is what bitsandbytes' own do to that of diffusers.
class QuantizedPictureTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");

  @TempDir Path folder;

  private static RgbImage draw(Pipeline pipeline, String prompt, int seed) {
    GenerationRequest request = GenerationRequest.of(prompt).withSeed(seed);
    return pipeline.generate(request).images().getFirst().image();
  }

  @Test
  void nf4TakesAsMuchAsBitsandbytesDoes() throws IOException {
    ObjectMapper json = new ObjectMapper();
    JsonNode peer = json.readTree(Fixtures.path("goldens/nf4_picture/nf4_picture.json").toFile());
    JsonNode prompts =
        json.readTree(MODEL.resolve("reference/reference.json").toFile()).path("prompts");
    Converter converter = new Converter();
    Path nf4 = folder.resolve("nf4");
    converter.run(
        converter.plan(
            ConversionRequest.builder(MODEL.resolve("transformer"))
                .scheme(QuantSchemes.parse("nf4"))
                .output(nf4)
                .build()),
        (_, _, _) -> {},
        new Cancellation());
    PipelineOptions options = PipelineOptions.defaults();
    try (Pipeline dense = Pipeline.open(MODEL, options);
        Pipeline quantized = Pipeline.open(MODEL, options.withTransformer(nf4))) {
      assertTrue(
          quantized.components().get(1).weights().startsWith("nf4 x 100"),
          quantized.components().get(1).weights());
      JsonNode expected = peer.path("dequantized_to").path("float32");
      assertEquals(6, prompts.size());
      for (int i = 0; i < prompts.size(); i++) {
        String prompt = prompts.get(i).path("prompt").asText();
        double psnr =
            ImageMetrics.psnr(draw(dense, prompt, 1000 + i), draw(quantized, prompt, 1000 + i));
        assertEquals(expected.get(i).path("psnr_to_dense_db").doubleValue(), psnr, 0.1, prompt);
      }
    }
  }

  /// A GGUF file with the names that ComfyUI wants, drawn from as it lies.
  @Test
  void ggufWithOriginalNamesDrawsThePicture() throws IOException {
    Converter converter = new Converter();
    Path gguf = folder.resolve("z-Q8_0.gguf");
    converter.run(
        converter.plan(
            ConversionRequest.builder(MODEL.resolve("transformer"))
                .gguf(GgufMix.Q8_0)
                .output(gguf)
                .build()),
        (_, _, _) -> {},
        new Cancellation());
    PipelineOptions options = PipelineOptions.defaults();
    try (Pipeline dense = Pipeline.open(MODEL, options);
        Pipeline quantized = Pipeline.open(MODEL, options.withTransformer(gguf))) {
      String weights = quantized.components().get(1).weights();
      assertTrue(weights.startsWith("gguf:q8_0 x 48"), weights);
      double psnr =
          ImageMetrics.psnr(draw(dense, "red apple", 1000), draw(quantized, "red apple", 1000));
      assertTrue(psnr > 40, "8-bit weights change little, but PSNR is " + psnr);
    }
  }
}
