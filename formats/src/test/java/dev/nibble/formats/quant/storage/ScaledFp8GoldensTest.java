package dev.nibble.formats.quant.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.quant.Codecs;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Fp8Type;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.ComfyStorage.Transport;
import dev.nibble.formats.quant.storage.LogicalTensor.Dense;
import dev.nibble.formats.quant.storage.LogicalTensor.Quantized;
import java.lang.foreign.Arena;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// ComfyUI's scaled fp8 in all its transports.
class ScaledFp8GoldensTest {
  private static final Fp8 E4M3 = new Fp8(Fp8Type.E4M3, Fp8.Scaling.TENSOR, DType.F32);
  private static final TestCheckpoint DECODED =
      TestCheckpoint.golden("goldens/fp8/fp8_mini.dequant.safetensors");
  private static final TestCheckpoint SOURCE =
      TestCheckpoint.golden("goldens/fp8/fp8_mini.src.safetensors");
  private static final List<String> LAYERS =
      List.of(
          "double_blocks.0.img_attn.qkv",
          "double_blocks.0.img_attn.proj",
          "single_blocks.0.linear1");

  private static TestCheckpoint golden(String name) {
    return TestCheckpoint.golden("goldens/fp8/fp8_mini_" + name + ".safetensors");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "scaled_fp8_marker0",
        "scaled_fp8_marker2_scale_input",
        "quantization_metadata",
        "comfy_quant"
      })
  void decodesToTheGoldenNumbers(String name) {
    Map<String, LogicalTensor> tensors =
        QuantStorages.read(golden(name), Optional.empty(), Arena.ofAuto());
    assertEquals(SOURCE.tensors().keySet(), tensors.keySet());
    for (String layer : LAYERS) {
      Quantized weight = assertInstanceOf(Quantized.class, tensors.get(layer + ".weight"));
      assertEquals(E4M3, weight.tensor().scheme());
      assertEquals(DType.BF16, weight.tensor().dtype());
      assertArrayEquals(
          DECODED.array(layer + ".weight.f32"), Codecs.decode(weight.tensor(), DType.F32));
      assertArrayEquals(
          DECODED.array(layer + ".weight.bf16"), Codecs.decode(weight.tensor(), DType.BF16));
    }
    assertInstanceOf(Dense.class, tensors.get("final_layer.linear.weight"));
  }

  /// What we write of the source is what the golden files hold, each tensor of a quantized layer.
  @ParameterizedTest
  @CsvSource({"MARKER, scaled_fp8_marker0", "HEADER, quantization_metadata", "LAYER, comfy_quant"})
  void encodesToTheGoldenBytes(Transport transport, String name) {
    ComfyStorage storage = new ComfyStorage(transport);
    TestCheckpoint ours = TestCheckpoints.empty();
    SequencedMap<String, QuantScheme> weights = new LinkedHashMap<>();
    for (String layer : LAYERS) {
      Shape shape = SOURCE.info(layer + ".weight").shape();
      weights.put(layer + ".weight", E4M3);
      TestCheckpoints.store(
          ours,
          storage,
          layer + ".weight",
          E4M3,
          shape,
          DType.BF16,
          Codecs.encode(E4M3, shape, DType.BF16, SOURCE.data(layer + ".weight")));
    }
    TestCheckpoint theirs = golden(name);
    for (TensorInfo info : ours.tensors().values()) {
      assertEquals(theirs.info(info.name()).dtype(), info.dtype(), info.name());
      assertEquals(theirs.info(info.name()).shape(), info.shape(), info.name());
      assertArrayEquals(theirs.array(info.name()), ours.array(info.name()), info.name());
    }
    storage
        .fileMarker(weights)
        .ifPresent(
            marker -> assertEquals(theirs.info(marker.name()).shape(), Shape.of(0), marker.name()));
    assertEquals(transport == Transport.MARKER, storage.fileMarker(weights).isPresent());
    assertEquals(theirs.metadata(), storage.metadata(weights));
  }

  @ParameterizedTest
  @ValueSource(strings = {"E4M3", "E5M2"})
  void plainCastsReadAsTheyAre(Fp8Type type) {
    Fp8 scheme = new Fp8(type, Fp8.Scaling.NONE, DType.F32);
    String layer = LAYERS.getFirst() + ".weight";
    Shape shape = SOURCE.info(layer).shape();
    TestCheckpoint ours = TestCheckpoints.empty();
    Codecs.Encoded encoded = Codecs.encode(scheme, shape, DType.BF16, SOURCE.data(layer));
    TestCheckpoints.store(ours, new PlainStorage(), layer, scheme, shape, DType.BF16, encoded);
    assertInstanceOf(
        Dense.class, QuantStorages.read(ours, Optional.empty(), Arena.ofAuto()).get(layer));
    assertEquals(type.dtype(), ours.info(layer).dtype());
    if (type == Fp8Type.E4M3) {
      assertArrayEquals(golden("unscaled").array(layer), ours.array(layer));
    }
    assertFalse(encoded.encoder().nonFinite().isPresent());
  }
}
