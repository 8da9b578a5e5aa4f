package dev.nibble.formats.quant.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.quant.Codecs;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.storage.LogicalTensor.Quantized;
import java.lang.foreign.Arena;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// compressed-tensors against what the library made and read back.
class CompressedTensorsGoldensTest {
  private static final Shape SHAPE = Shape.of(40, 96);
  private static final TestCheckpoint GOLDENS =
      TestCheckpoint.golden("goldens/compressed_tensors/compressed_tensors.safetensors");

  private static TestCheckpoint layer(String name) {
    TestCheckpoint layer = TestCheckpoints.empty();
    TestCheckpoint stored = TestCheckpoints.subset(GOLDENS, name + ".layer.");
    stored
        .tensors()
        .values()
        .forEach(
            info -> layer.put("l." + info.name(), info.dtype(), info.shape(), stored.data(info)));
    return layer;
  }

  private static QuantizedTensor read(TestCheckpoint layer) {
    Map<String, LogicalTensor> tensors =
        QuantStorages.read(layer, Optional.empty(), Arena.ofAuto());
    assertEquals(1, tensors.size(), "all parts are taken");
    return assertInstanceOf(Quantized.class, tensors.get("l.weight")).tensor();
  }

  @ParameterizedTest
  @CsvSource({
    "pack4.g32.sym.f32, int4:g32:f32",
    "pack4.g32.asym.f32, int4:g32:asym:f32",
    "pack4.channel.sym.f32, int4:row:f32",
    "pack4.channel.asym.bf16, int4:row:asym:bf16",
    "pack4.g32.sym.bf16, int4:g32:bf16",
    "pack4.g32.asym.f16, int4:g32:asym",
    "pack8.g48.asym.f32, int8:g48:asym:f32",
    "pack8.channel.sym.bf16, int8:row:bf16",
    "int8.channel.sym.bf16, int8:row:bf16",
    "int8.g32.asym.bf16, int8:g32:asym:bf16",
    "int8.channel.sym.f32, absmax8",
    "fp8.tensor.f32, fp8",
    "fp8.tensor.bf16, fp8:bf16",
    "fp8.channel.f32, fp8:row",
    "fp8.channel.bf16, fp8:row:bf16",
    "nvfp4.f32, nvfp4",
    "mxfp4, mxfp4"
  })
  void decodesAsTheLibraryDoes(String name, String scheme) {
    QuantizedTensor tensor = read(layer(name));
    assertEquals(scheme, tensor.scheme().id());
    assertEquals(SHAPE, tensor.shape());
    TensorInfo theirs = GOLDENS.info(name + ".dequant");
    assertArrayEquals(
        GOLDENS.array(theirs.name()),
        Codecs.decode(tensor, theirs.dtype()),
        theirs.dtype().toString());
  }

  /// From float32: in 16 bits the library divides in 16 bits, which nobody should want.
  @ParameterizedTest
  @CsvSource({
    "pack4.g32.sym.f32, int4:g32:f32",
    "pack4.g32.asym.f32, int4:g32:asym:f32",
    "pack4.channel.sym.f32, int4:row:f32",
    "pack8.g48.asym.f32, int8:g48:asym:f32",
    "fp8.tensor.f32, fp8",
    "fp8.channel.f32, fp8:row"
  })
  void encodesAsTheLibraryDoes(String name, String id) {
    QuantScheme scheme = QuantSchemes.parse(id);
    TestCheckpoint ours = TestCheckpoints.empty();
    TestCheckpoints.store(
        ours,
        new CompressedTensorsStorage(),
        "l.weight",
        scheme,
        SHAPE,
        DType.F32,
        Codecs.encode(scheme, SHAPE, DType.F32, GOLDENS.data("src.f32")));
    TestCheckpoint theirs = layer(name);
    assertEquals(theirs.tensors().keySet(), ours.tensors().keySet());
    for (TensorInfo info : theirs.tensors().values()) {
      assertEquals(info.dtype(), ours.info(info.name()).dtype(), info.name());
      assertEquals(info.shape(), ours.info(info.name()).shape(), info.name());
      assertArrayEquals(theirs.array(info.name()), ours.array(info.name()), info.name());
    }
  }

  /// The scale of a model's dtype is rounded before codes are made, so they differ from those of
  /// the library; what the library would decode of ours is as near to the source as its own.
  @ParameterizedTest
  @CsvSource({"pack4.g32.sym.bf16, int4:g32", "pack4.g32.asym.f16, int4:g32:asym"})
  void sixteenBitScalesCostNoMore(String name, String id) {
    DType dtype = DType.valueOf(name.substring(name.lastIndexOf('.') + 1).toUpperCase(Locale.ROOT));
    QuantScheme scheme = new CompressedTensorsStorage().adapt(QuantSchemes.parse(id), dtype);
    Codecs.Encoded encoded =
        Codecs.encode(
            scheme, SHAPE, dtype, GOLDENS.data("src." + dtype.name().toLowerCase(Locale.ROOT)));
    byte[] ours = Codecs.decode(new QuantizedTensor(scheme, SHAPE, dtype, encoded.parts()), dtype);
    double mine = Codecs.squaredError(GOLDENS.array("src.f32"), DType.F32, ours, dtype);
    double theirs =
        Codecs.squaredError(
            GOLDENS.array("src.f32"), DType.F32, GOLDENS.array(name + ".dequant"), dtype);
    org.junit.jupiter.api.Assertions.assertTrue(mine <= theirs * 1.001, mine + " > " + theirs);
  }
}
