package dev.nibble.formats.nunchaku;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.SvdBranch;
import dev.nibble.formats.quant.SvdQuant;
import dev.nibble.formats.quant.WeightEncoder;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.StoredTensor;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NunchakuExportTest {
  @TempDir Path folder;

  private final List<TensorSpec> specs = new ArrayList<>();
  private final List<MemorySegment> bytes = new ArrayList<>();
  private final Random random = new Random(5);

  private void put(String name, DType type, Shape shape) {
    byte[] data = new byte[(int) type.byteSize(shape.elements())];
    random.nextBytes(data);
    for (int i = 1; i < data.length; i += 2) {
      data[i] &= (byte) 0xbf; // finite, not large
    }
    put(name, type, shape, MemorySegment.ofArray(data));
  }

  private void put(String name, DType type, Shape shape, MemorySegment data) {
    specs.add(new TensorSpec(name, type, shape));
    bytes.add(data);
  }

  private void layer(String name, String id, Shape shape) {
    QuantScheme scheme = QuantSchemes.parse(id);
    MemorySegment source = MemorySegment.ofArray(new byte[(int) (2 * shape.elements())]);
    WeightEncoder encoder =
        scheme instanceof SvdQuant svd
            ? svd.encoder(shape, DType.BF16, branch(shape, svd.rank()), Arena.ofAuto())
            : scheme.encoder(shape, DType.BF16, Arena.ofAuto());
    MemorySegment codes = MemorySegment.ofArray(new byte[(int) scheme.codeBytes(shape.elements())]);
    encoder.encode(0, shape.elements(), source, codes);
    Map<Part, MemorySegment> parts = new EnumMap<>(encoder.finish());
    parts.put(Part.CODES, codes);
    for (StoredTensor piece : new NibbleStorage().plan(name, scheme, shape, DType.BF16)) {
      switch (piece.content()) {
        case StoredTensor.PartContent part ->
            put(
                piece.name(),
                part.dtype(),
                part.shape(),
                Objects.requireNonNull(parts.get(part.part())));
        case StoredTensor.Constant constant -> {
          byte[] text = new byte[constant.bytes().size()];
          for (int i = 0; i < text.length; i++) {
            text[i] = constant.bytes().get(i);
          }
          put(piece.name(), constant.dtype(), constant.shape(), MemorySegment.ofArray(text));
        }
        case StoredTensor.Document _ -> throw new AssertionError(piece);
      }
    }
  }

  private SvdBranch branch(Shape shape, int rank) {
    float[] ones = new float[(int) shape.dim(1)];
    Arrays.fill(ones, 2);
    float[] up = new float[(int) shape.dim(0) * rank];
    float[] down = new float[rank * ones.length];
    for (int i = 0; i < down.length; i++) {
      down[i] = (float) random.nextGaussian();
    }
    for (int i = 0; i < up.length; i++) {
      up[i] = (float) random.nextGaussian();
    }
    return SvdBranch.of(shape, ones, up, down);
  }

  private Path source() throws IOException {
    Path directory = Files.createDirectories(folder.resolve("source"));
    Files.writeString(
        directory.resolve("config.json"),
        "{\"_class_name\": \"SomeTransformer2DModel\", \"_diffusers_version\": \"0.40.0\","
            + " \"quantization_config\": {\"quant_method\": \"nibble\"}}");
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(
            directory.resolve("diffusion_pytorch_model.safetensors"),
            SafetensorsLayout.plan(specs, List.of(), Map.of()))) {
      for (int i = 0; i < specs.size(); i++) {
        writer.write(specs.get(i).name(), 0, bytes.get(i));
      }
      writer.finish();
    }
    return directory;
  }

  /// The keys that diffusers' strict check wants, what was not quantized byte for byte, and one
  /// rank for all.
  @Test
  void writesWhatNunchakuLiteLoads() throws IOException {
    layer("blocks.0.to_q.weight", "int4:g64:bf16+svd20", Shape.of(128, 256));
    put("blocks.0.to_q.bias", DType.BF16, Shape.of(128));
    layer("blocks.0.to_k.weight", "int4:g64:bf16+svd8", Shape.of(256, 128));
    put("blocks.0.norm.weight", DType.BF16, Shape.of(7));
    put("proj_out.weight", DType.BF16, Shape.of(3, 5));
    put("proj_out.bias", DType.BF16, Shape.of(3));
    Path source = source();
    Path target = folder.resolve("target");
    assertEquals(new NunchakuExport.Summary(2, 32), NunchakuExport.write(source, target, false));

    JsonNode config = new ObjectMapper().readTree(target.resolve("config.json").toFile());
    assertEquals("SomeTransformer2DModel", config.path("_class_name").asText());
    assertEquals(
        new ObjectMapper()
            .readTree(
                "{\"compute_dtype\": \"bfloat16\", \"quant_method\": \"nunchaku_lite\","
                    + " \"svdq_w4a4\": {\"group_size\": 64, \"precision\": \"int4\", \"rank\": 32,"
                    + " \"targets\": [\"blocks.0.to_k\", \"blocks.0.to_q\"]}}"),
        config.path("quantization_config"));

    try (Checkpoint written =
            Checkpoints.open(target.resolve("diffusion_pytorch_model.safetensors"));
        OpenModel model = OpenModel.open(source)) {
      Set<String> keys = new TreeSet<>();
      for (String layer : List.of("blocks.0.to_q.", "blocks.0.to_k.")) {
        for (String key : List.of("qweight", "wscales", "smooth_factor", "proj_down", "proj_up")) {
          keys.add(layer + key);
        }
      }
      keys.addAll(
          Set.of("blocks.0.to_q.bias", "blocks.0.norm.weight", "proj_out.weight", "proj_out.bias"));
      assertEquals(keys, new TreeSet<>(written.tensors().keySet()));
      for (String name : List.of("blocks.0.norm.weight", "proj_out.weight", "proj_out.bias")) {
        assertArrayEquals(array(model.checkpoint(), name), array(written, name), name);
      }
      Map<String, MemorySegment> packed = new HashMap<>();
      written.tensors().values().forEach(tensor -> packed.put(tensor.name(), written.data(tensor)));
      packed.keySet().removeIf(name -> !name.startsWith("blocks.0.to_q."));
      Map<String, MemorySegment> bare = new HashMap<>();
      packed.forEach((name, data) -> bare.put(name.substring("blocks.0.to_q.".length()), data));
      NunchakuLayer layer = NunchakuLayer.unpack(128, 256, 32, bare, Arena.ofAuto());
      assertArrayEquals(
          array(model.checkpoint(), "blocks.0.to_q.bias"),
          layer.bias().orElseThrow().toArray(JAVA_BYTE));
      assertArrayEquals(
          array(model.checkpoint(), "blocks.0.to_q.weight"), layer.codes().toArray(JAVA_BYTE));
      assertEquals(Shape.of(256, 32), info(written, "blocks.0.to_q.proj_down").shape());
      assertEquals(Shape.of(4, 128), info(written, "blocks.0.to_q.wscales").shape());
    }
    UnsupportedException refused =
        assertThrows(UnsupportedException.class, () -> OpenModel.open(target));
    assertTrue(String.valueOf(refused.getMessage()).contains("nunchaku"), refused.getMessage());
  }

  private static TensorInfo info(Checkpoint checkpoint, String name) {
    return Objects.requireNonNull(checkpoint.tensors().get(name), name);
  }

  private static byte[] array(Checkpoint checkpoint, String name) {
    return checkpoint.data(info(checkpoint, name)).toArray(JAVA_BYTE);
  }

  @ParameterizedTest
  @CsvSource({
    "int4:g64+svd16, 128, 128, int4:g64:bf16+svdRANK",
    "nf4+svd16, 128, 128, int4:g64:bf16+svdRANK",
    "int4:g64:bf16, 128, 128, int4:g64:bf16+svdRANK",
    "int4:g64:bf16+svd16, 192, 128, --skip",
    "int4:g64:bf16+svd16, 128, 64, --skip"
  })
  void whatTheKernelsDoNotTakeIsRefusedWithTheCure(String id, int out, int in, String cure)
      throws IOException {
    layer("blocks.0.to_q.weight", id, Shape.of(out, in));
    Path source = source();
    Path target = folder.resolve("target");
    UnsupportedException refused =
        assertThrows(UnsupportedException.class, () -> NunchakuExport.write(source, target, false));
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains(cure), message);
    assertTrue(message.contains("blocks.0.to_q.weight"), message);
    assertFalse(Files.exists(target));
  }

  @Test
  void aModelWithoutSuchLayersIsRefused() throws IOException {
    put("proj_out.weight", DType.BF16, Shape.of(3, 5));
    Path source = source();
    assertThrows(
        UnsupportedException.class,
        () -> NunchakuExport.write(source, folder.resolve("target"), false));
  }
}
