package dev.nibble.formats.quant.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.Codecs;
import dev.nibble.formats.quant.DynamicInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.FourBitType;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.storage.LogicalTensor.Dense;
import dev.nibble.formats.quant.storage.LogicalTensor.Quantized;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class QuantStoragesTest {
  private static Map<String, LogicalTensor> read(TestCheckpoint checkpoint) {
    return QuantStorages.read(checkpoint, Optional.empty(), Arena.ofAuto());
  }

  private static Quantized quantized(Map<String, LogicalTensor> tensors, String name) {
    return assertInstanceOf(Quantized.class, tensors.get(name), name);
  }

  /// What bitsandbytes wrote for whole layers: our plan has these tensors and no others, and
  /// reading gives back the bytes.
  @ParameterizedTest
  @ValueSource(strings = {"nf4", "nf4:plain", "fp4", "fp4:plain", "int8"})
  void layersOfBitsandbytesArePlannedAndRead(String id) {
    QuantScheme scheme = QuantSchemes.parse(id);
    TestCheckpoint all = TestCheckpoint.golden("goldens/bnb/bnb_modules.quant.safetensors");
    String prefix =
        scheme instanceof FourBit four
            ? id.substring(0, 3) + (four.doubleQuant() ? ".dq." : ".plain.")
            : "llmint8.";
    TestCheckpoint layer = TestCheckpoints.subset(all, prefix);
    String weight = "attn.to_q.weight";
    Shape shape = Shape.of(96, 128);
    DType source = scheme instanceof LlmInt8 ? DType.F16 : DType.BF16;

    List<StoredTensor> plan = new BitsAndBytesStorage().plan(weight, scheme, shape, source);
    assertEquals(layer.tensors().size() - 1, plan.size(), "all but the bias");
    for (StoredTensor piece : plan) {
      TensorInfo info = layer.info(piece.name());
      switch (piece.content()) {
        case StoredTensor.PartContent part -> {
          assertEquals(info.dtype(), part.dtype(), piece.name());
          assertEquals(info.shape(), part.shape(), piece.name());
        }
        case StoredTensor.Constant constant -> {
          assertEquals(info.dtype(), constant.dtype(), piece.name());
          assertEquals(info.shape(), constant.shape(), piece.name());
          assertArrayEquals(layer.array(piece.name()), TestCheckpoints.bytes(constant));
        }
        case StoredTensor.Document document ->
            assertTrue(info.byteSize() <= document.maxLength(), piece.name());
      }
    }

    Map<String, LogicalTensor> tensors = read(layer);
    assertEquals(2, tensors.size());
    assertInstanceOf(Dense.class, tensors.get("attn.to_q.bias"));
    QuantizedTensor tensor = quantized(tensors, weight).tensor();
    assertEquals(scheme, tensor.scheme());
    assertEquals(shape, tensor.shape());
    assertEquals(source, tensor.dtype());
    assertEquals(-1, layer.data(weight).mismatch(tensor.part(Part.CODES)));
    if (scheme instanceof FourBit four && four.doubleQuant()) {
      byte[] document = new BitsAndBytesStorage().document(scheme, shape, source, tensor.parts());
      assertArrayEquals(layer.array(plan.getLast().name()), document);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "nf4, 40x96, bitsandbytes",
    "fp4:128:plain, 7x5x3, bitsandbytes",
    "int8, 40x96, bitsandbytes",
    "int8, 4x5x6, nibble",
    "absmax8, 40x96, compressed-tensors",
    "absmax8:32, 40x96, compressed-tensors",
    "absmax8:64, 40x96, nibble",
    "absmax8, 96, nibble",
    "affine8, 40x96, compressed-tensors",
    "affine8:48, 40x96, compressed-tensors",
    "affine8:50, 3x4x5, nibble",
    "bnb8-dynamic:256, 40x96, nibble",
    "int4:g32, 40x96, compressed-tensors",
    "int4:row:asym:bf16, 44x96, compressed-tensors",
    "int8:g32:asym, 41x96, compressed-tensors",
    "int4:g64, 40x96, nibble",
    "int4:g32:asym, 7x5x3, nibble",
    "fp8, 40x96, comfyui",
    "fp8-e5m2, 40x96, comfyui",
    "fp8, 96, nibble",
    "fp8:row, 40x96, compressed-tensors",
    "fp8-e5m2:row, 40x96, nibble"
  })
  void whatIsStoredReadsBack(String id, String dims, String storageId) {
    QuantScheme scheme = QuantSchemes.parse(id);
    Shape shape = TestCheckpoints.shape(dims);
    QuantStorage storage = QuantStorages.choose(scheme, shape);
    assertEquals(storageId, storage.id());
    MemorySegment source = TestCheckpoints.gaussian(shape, 31);
    Codecs.Encoded encoded = Codecs.encode(scheme, shape, DType.F32, source);
    TestCheckpoint checkpoint = TestCheckpoints.empty();
    checkpoint.put("before", DType.F32, Shape.of(1), MemorySegment.ofArray(new byte[4]));
    TestCheckpoints.store(checkpoint, storage, "l.0.weight", scheme, shape, DType.F32, encoded);
    checkpoint.put("l.0.bias", DType.F32, Shape.of(1), MemorySegment.ofArray(new byte[4]));

    Map<String, LogicalTensor> tensors = read(checkpoint);
    assertEquals(List.of("before", "l.0.weight", "l.0.bias"), List.copyOf(tensors.keySet()));
    Quantized weight = quantized(tensors, "l.0.weight");
    assertEquals(storage, weight.storage());
    List<StoredTensor> plan = storage.plan("l.0.weight", scheme, shape, DType.F32);
    assertEquals(plan.getFirst().name(), weight.stored().getFirst().name());
    assertEquals(checkpoint.tensors().size() - 2, weight.stored().size());
    assertEquals(scheme, weight.tensor().scheme());
    assertEquals(shape, weight.tensor().shape());
    assertEquals(DType.F32, weight.tensor().dtype());
    assertArrayEquals(
        Codecs.decode(new QuantizedTensor(scheme, shape, DType.F32, encoded.parts()), DType.F32),
        Codecs.decode(weight.tensor(), DType.F32));
  }

  @ParameterizedTest
  @CsvSource({
    "int4:g32, 64x96, gptq",
    "int4:g32:asym, 64x96, gptq",
    "int4:row:asym, 32x160, gptq",
    "int8:g32, 64x96, gptq",
    "int8:g96:asym, 96x96, gptq",
    "int4:g32:asym, 64x96, awq",
    "int4:row, 200x104, awq",
    "int4:g8:asym, 8x8, awq",
    "int8:g32:asym, 64x96, compressed-tensors"
  })
  void gridsReadBackFromEveryStorage(String id, String dims, String storageId) {
    Shape shape = TestCheckpoints.shape(dims);
    QuantStorage storage =
        QuantStorages.all().stream()
            .filter(known -> known.id().equals(storageId))
            .findFirst()
            .orElseThrow();
    GroupedInt scheme = (GroupedInt) storage.adapt(QuantSchemes.parse(id), DType.F16);
    Codecs.Encoded encoded =
        Codecs.encode(scheme, shape, DType.F32, TestCheckpoints.gaussian(shape, 32));
    TestCheckpoint checkpoint = TestCheckpoints.empty();
    checkpoint.put("l.0.bias", DType.F32, Shape.of(1), MemorySegment.ofArray(new byte[4]));
    TestCheckpoints.store(checkpoint, storage, "l.0.weight", scheme, shape, DType.F16, encoded);
    Map<String, LogicalTensor> tensors = read(checkpoint);
    assertEquals(List.of("l.0.bias", "l.0.weight"), List.copyOf(tensors.keySet()));
    QuantizedTensor weight = quantized(tensors, "l.0.weight").tensor();
    GroupedInt found = (GroupedInt) weight.scheme();
    assertEquals(scheme.bits(), found.bits());
    assertEquals(scheme.groups(shape.last()), found.groups(shape.last()));
    QuantizedTensor plain = new QuantizedTensor(scheme, shape, DType.F32, encoded.parts());
    assertArrayEquals(Codecs.decode(plain, DType.F32), Codecs.decode(weight, DType.F32));
    Codecs.decodesAnywhere(weight, 33);
  }

  @Test
  void largeCodesAreNotCopied() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("affine8:32", Shape.of(8, 64));
    QuantizedTensor tensor = quantized(read(checkpoint), "l.0.weight").tensor();
    assertSame(checkpoint.data("l.0.weight"), tensor.part(Part.CODES));
    assertEquals(PartLayout.SIGNED, tensor.layout());
  }

  /// Signed codes and zero points, and scales in float32: what the library's own formula, `(weight
  /// - zero_point) * scale` in the scale's type, turns into our numbers.
  @Test
  void compressedTensorsDequantizesToOurNumbers() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("affine8:32", Shape.of(8, 64));
    float[] ours =
        MemorySegment.ofArray(
                Codecs.decode(quantized(read(checkpoint), "l.0.weight").tensor(), DType.F32))
            .toArray(LittleEndian.FLOAT);
    byte[] codes = checkpoint.array("l.0.weight");
    byte[] zeros = checkpoint.array("l.0.weight_zero_point");
    float[] scales = checkpoint.floats("l.0.weight_scale");
    assertEquals(Shape.of(8, 2), checkpoint.info("l.0.weight_scale").shape());
    for (int i = 0; i < ours.length; i++) {
      float theirs = ((float) codes[i] - (float) zeros[i / 32]) * scales[i / 32];
      assertEquals(theirs, ours[i]);
    }
  }

  @Test
  void dtypeComesFromBiasThenConfigurationThenTheOthers() throws JsonProcessingException {
    TestCheckpoint checkpoint = TestCheckpoints.stored("int8", Shape.of(8, 64));
    JsonNode config = new ObjectMapper().readTree("{\"torch_dtype\": \"bfloat16\"}");
    assertEquals(DType.F16, quantized(read(checkpoint), "l.0.weight").tensor().dtype());
    checkpoint.put("norm", DType.F32, Shape.of(2), MemorySegment.ofArray(new byte[8]));
    assertEquals(DType.F32, quantized(read(checkpoint), "l.0.weight").tensor().dtype());
    assertEquals(
        DType.BF16,
        quantized(QuantStorages.read(checkpoint, Optional.of(config), Arena.ofAuto()), "l.0.weight")
            .tensor()
            .dtype());
    checkpoint.put("l.0.bias", DType.F16, Shape.of(8), MemorySegment.ofArray(new byte[16]));
    assertEquals(
        DType.F16,
        quantized(QuantStorages.read(checkpoint, Optional.of(config), Arena.ofAuto()), "l.0.weight")
            .tensor()
            .dtype());
  }

  @Test
  void olderLlmInt8WithoutFormatIsRead() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("int8", Shape.of(8, 64));
    checkpoint.remove("l.0.weight_format");
    quantized(read(checkpoint), "l.0.weight");
  }

  @Test
  void comfyUisInt8IsNotTakenForCompressedTensors() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("absmax8", Shape.of(8, 64));
    checkpoint.put(
        "l.0.comfy_quant", DType.U8, Shape.of(2), MemorySegment.ofArray(new byte[] {'{', '}'}));
    assertThrows(FormatException.class, () -> read(checkpoint));
  }

  @Test
  void documentIsForDoubleQuantizationAlone() {
    BitsAndBytesStorage storage = new BitsAndBytesStorage();
    assertThrows(
        IllegalArgumentException.class,
        () -> storage.document(new LlmInt8(), Shape.of(2, 2), DType.F16, Map.of()));
    MemorySegment nan = MemorySegment.ofArray(new byte[4]);
    nan.set(LittleEndian.FLOAT, 0, Float.NaN);
    UnsupportedException refused =
        assertThrows(
            UnsupportedException.class,
            () ->
                storage.document(
                    new FourBit(FourBitType.NF4, 64, true),
                    Shape.of(2, 2),
                    DType.F16,
                    Map.of(Part.NESTED_OFFSET, nan)));
    assertTrue(String.valueOf(refused.getMessage()).contains("nf4:plain"));
  }

  @Test
  void planRefusesWhatItCannotStore() {
    assertThrows(
        IllegalArgumentException.class,
        () ->
            new CompressedTensorsStorage()
                .plan("a.weight", new AbsmaxInt8(48), Shape.of(2, 64), DType.F32));
    assertThrows(
        IllegalArgumentException.class,
        () ->
            new CompressedTensorsStorage()
                .plan("pad_token", new AffineInt8(0), Shape.of(2, 64), DType.F32));
    assertThrows(
        IllegalArgumentException.class,
        () ->
            new BitsAndBytesStorage()
                .plan("a.weight", new DynamicInt8(64), Shape.of(2, 64), DType.F32));
  }

  @Test
  void sourcesOfOtherTypesAreGivenBackInOneThatLoadersKnow() {
    for (Map.Entry<DType, DType> pair :
        Map.of(DType.F64, DType.F32, DType.F8_E4M3, DType.BF16).entrySet()) {
      TestCheckpoint checkpoint = TestCheckpoints.empty();
      Shape shape = Shape.of(4, 64);
      FourBit scheme = new FourBit(FourBitType.NF4, 64, false);
      TestCheckpoints.store(
          checkpoint,
          new BitsAndBytesStorage(),
          "l.0.weight",
          scheme,
          shape,
          pair.getKey(),
          Codecs.encode(scheme, shape, DType.F32, TestCheckpoints.gaussian(shape, 1)));
      assertEquals(pair.getValue(), quantized(read(checkpoint), "l.0.weight").tensor().dtype());
    }
  }
}
