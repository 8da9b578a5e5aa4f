package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A single file with all models of SDXL, of which each becomes the directory whose configuration
/// is named. The bytes are those that diffusers' loader makes: `goldens/names`.
class BundleTest {
  private static final List<String> PARTS = List.of("sdxl-unet", "sd-vae", "open-clip");

  @TempDir Path folder;

  private Path bundle = Path.of("");

  @BeforeEach
  void writeBundle() throws IOException {
    bundle = folder.resolve("bundle.safetensors");
    Map<String, Shape> shapes = new LinkedHashMap<>();
    for (String part : PARTS) {
      for (Map.Entry<String, JsonNode> entry : tiny(part).get("original").properties()) {
        List<Long> dims = new ArrayList<>();
        entry.getValue().forEach(dim -> dims.add(dim.longValue()));
        shapes.put(entry.getKey(), new Shape(dims));
      }
    }
    List<TensorSpec> specs = new ArrayList<>();
    shapes.forEach((name, shape) -> specs.add(new TensorSpec(name, DType.F32, shape)));
    SafetensorsLayout layout = SafetensorsLayout.plan(specs, List.of(), Map.of());
    try (SafetensorsWriter writer = SafetensorsWriter.create(bundle, layout)) {
      for (TensorSpec spec : specs) {
        writer.write(spec.name(), 0, MemorySegment.ofArray(data(spec.name(), spec.shape())));
      }
      writer.finish();
    }
  }

  private static JsonNode golden(String id) throws IOException {
    return new ObjectMapper().readTree(Fixtures.path("goldens/names/" + id + ".json").toFile());
  }

  private static JsonNode tiny(String id) throws IOException {
    return golden(id).get("tiny");
  }

  /// As the generator fills a tensor: any bits, which only moving preserves.
  private static int[] data(String name, Shape shape) {
    CRC32 crc = new CRC32();
    crc.update(name.getBytes(StandardCharsets.UTF_8));
    int[] data = new int[(int) shape.elements()];
    for (int i = 0; i < data.length; i++) {
      data[i] = (int) crc.getValue() + i;
    }
    return data;
  }

  private void quantize(ConversionRequest.Builder request) throws IOException {
    Converter converter = new Converter();
    ConversionPlan plan = converter.plan(request.allowNonFinite(true).threads(2).build());
    converter.run(plan, ProgressListener.none(), new Cancellation());
  }

  private static ConversionRequest.Builder request(Path source, String only) {
    return ConversionRequest.builder(source)
        .scheme(QuantSchemes.parse("nf4:64:plain"))
        .only(List.of(only));
  }

  private Path config(String part) throws IOException {
    String name = golden(part).get("class").textValue();
    return Files.writeString(
        folder.resolve(part + ".json"),
        name.startsWith("CLIP")
            ? "{\"architectures\": [\"%s\"], \"model_type\": \"clip_text_model\"}".formatted(name)
            : "{\"_class_name\": \"%s\"}".formatted(name));
  }

  private static String sha(MemorySegment bytes) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(bytes.asByteBuffer());
      return HexFormat.of().formatHex(digest.digest()).substring(0, 16);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "sdxl-unet, time_embedding.linear_1, time_embed.0",
    "sd-vae, encoder.mid_block.attentions.0.to_q, ",
    "open-clip, layers.0.mlp.fc1, resblocks.0.mlp.c_fc"
  })
  void eachModelBecomesItsDirectoryAndBack(String part, String library, @Nullable String original)
      throws IOException {
    Path directory = folder.resolve(part);
    quantize(request(bundle, library).config(config(part)).output(directory));
    JsonNode expected = tiny(part).get("library");
    try (Checkpoint found = Checkpoints.open(directory)) {
      int equal = 0;
      for (Map.Entry<String, JsonNode> entry : expected.properties()) {
        if (!entry.getKey().contains(library + ".weight")) {
          TensorInfo info = Optional.ofNullable(found.tensors().get(entry.getKey())).orElseThrow();
          assertEquals(entry.getValue().textValue(), sha(found.data(info)), entry.getKey());
          equal++;
        }
      }
      assertEquals(expected.size() - 1, equal);
      assertEquals(
          expected.size(),
          found.tensors().keySet().stream()
              .filter(name -> !name.contains(".weight.")) // statistics of the quantized one
              .count());
    }
    if (original != null) {
      back(directory, part, original);
    }
  }

  /// The single file of one model again, its prefix included.
  private void back(Path directory, String part, String only) throws IOException {
    Path file = folder.resolve(part + "-back.safetensors");
    quantize(request(directory, only).names(Dialect.ORIGINAL).allowRequantize(true).output(file));
    try (Checkpoint found = Checkpoints.open(file)) {
      for (Map.Entry<String, JsonNode> entry : tiny(part).get("original").properties()) {
        String name = entry.getKey();
        TensorInfo info = Optional.ofNullable(found.tensors().get(name)).orElseThrow();
        if (!name.contains(only + ".weight")) {
          MemorySegment data = MemorySegment.ofArray(data(name, info.shape()));
          assertEquals(-1, data.mismatch(found.data(info)), name);
        }
      }
    }
  }

  @Test
  void whatIsLeftOutIsSaid() throws IOException {
    ConversionPlan plan =
        new Converter()
            .plan(
                request(bundle, "time_embedding")
                    .config(config("sdxl-unet"))
                    .output(folder.resolve("x"))
                    .build());
    int others = tiny("sd-vae").get("original").size() + tiny("open-clip").get("original").size();
    assertTrue(
        plan.notes().stream().anyMatch(note -> note.startsWith(others + " tensors left out")),
        plan.notes().toString());
  }
}
