package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.Int8Kernels;
import dev.nibble.formats.quant.Codecs.Encoded;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The 8-bit schemes against bitsandbytes' own output and the numpy references, bit for bit.
class EightBitGoldensTest {
  private static final TestCheckpoint LINEAR =
      TestCheckpoint.golden("goldens/linear_int8/linear.quant.safetensors");
  private static final TestCheckpoint LINEAR_SOURCE =
      TestCheckpoint.golden("goldens/linear_int8/linear.src.safetensors");

  @Test
  void linearSchemesEqualTheirReference() throws Exception {
    JsonNode manifest = json("goldens/linear_int8/linear_manifest.json");
    for (JsonNode entry : manifest) {
      String key = entry.get("key").asText();
      int block = Integer.parseInt(key.substring(key.indexOf(".b") + 2));
      TensorInfo source = LINEAR_SOURCE.info(key.substring(0, key.indexOf(".b")));
      checkLinear(
          new AbsmaxInt8(block), source, key + ".sym", entry, "sha256_sym_dequant_f32", "rmse_sym");
      checkLinear(
          new AffineInt8(block),
          source,
          key + ".affine",
          entry,
          "sha256_affine_dequant_f32",
          "rmse_affine");
    }
    assertEquals(11, manifest.size());
  }

  private static void checkLinear(
      QuantScheme scheme, TensorInfo source, String key, JsonNode entry, String hash, String rmse)
      throws NoSuchAlgorithmException {
    MemorySegment data = LINEAR_SOURCE.data(source);
    Encoded encoded = Codecs.encode(scheme, source.shape(), DType.F32, data);
    assertArrayEquals(LINEAR.array(key + ".q"), encoded.bytes(Part.CODES), key);
    assertArrayEquals(LINEAR.array(key + ".scale"), encoded.bytes(Part.SCALE), key);
    if (scheme instanceof AffineInt8) {
      assertArrayEquals(LINEAR.array(key + ".zero"), encoded.bytes(Part.ZERO_POINT), key);
    }
    QuantizedTensor tensor =
        new QuantizedTensor(scheme, source.shape(), DType.F32, encoded.parts());
    assertEquals(entry.get(hash).asText(), sha(Codecs.decode(tensor, DType.F32)), key);
    QuantError error = encoded.encoder().error();
    double found = Math.sqrt(error.sumSquaredErrors() / error.elements());
    assertEquals(1, found / entry.get(rmse).asDouble(), 1e-5, key);
  }

  @Test
  void tiesGoToEven() {
    TensorInfo source = LINEAR_SOURCE.info("ties");
    Encoded encoded =
        Codecs.encode(new AbsmaxInt8(64), source.shape(), DType.F32, LINEAR_SOURCE.data(source));
    assertArrayEquals(LINEAR.array("ties.b64.sym.q"), encoded.bytes(Part.CODES));
    assertArrayEquals(LINEAR.array("ties.b64.sym.scale"), encoded.bytes(Part.SCALE));
  }

  @Test
  void dynamicCodesAreBitsandbytes() throws IOException {
    TestCheckpoint sources = TestCheckpoint.golden("goldens/bnb/bnb8_blockwise.src.safetensors");
    TestCheckpoint expected = TestCheckpoint.golden("goldens/bnb/bnb8_blockwise.quant.safetensors");
    int checked = 0;
    for (JsonNode entry : json("goldens/bnb/bnb8_manifest.json").get("blockwise")) {
      String key = entry.get("key").asText();
      if (key.endsWith(".nested")) {
        continue;
      }
      TensorInfo source = sources.info(key.substring(0, key.indexOf(".bs")));
      DynamicInt8 scheme =
          new DynamicInt8(
              Integer.parseInt(key.substring(key.indexOf(".bs") + 3, key.indexOf(".plain"))));
      Encoded encoded = Codecs.encode(scheme, source.shape(), source.dtype(), sources.data(source));
      assertArrayEquals(expected.array(key + ".weight"), encoded.bytes(Part.CODES), key);
      assertArrayEquals(expected.array(key + ".absmax"), encoded.bytes(Part.ABSMAX), key);
      QuantizedTensor tensor =
          new QuantizedTensor(scheme, source.shape(), source.dtype(), encoded.parts());
      assertArrayEquals(
          expected.array(key + ".dequant_f32"), Codecs.decode(tensor, DType.F32), key);
      checked++;
    }
    assertEquals(14, checked);
  }

  /// No scheme of ours stores dynamic codes with nested statistics, but their arithmetic is that of
  /// double quantization, in groups of as many absmax as a block has elements.
  @Test
  void nestedStatisticsOfDynamicCodesAreBitsandbytes() throws IOException {
    TestCheckpoint sources = TestCheckpoint.golden("goldens/bnb/bnb8_blockwise.src.safetensors");
    TestCheckpoint expected = TestCheckpoint.golden("goldens/bnb/bnb8_blockwise.quant.safetensors");
    int checked = 0;
    for (JsonNode entry : json("goldens/bnb/bnb8_manifest.json").get("blockwise")) {
      String key = entry.get("key").asText();
      if (!key.endsWith(".nested")) {
        continue;
      }
      TensorInfo source = sources.info(key.substring(0, key.indexOf(".bs")));
      int blockSize =
          Integer.parseInt(key.substring(key.indexOf(".bs") + 3, key.indexOf(".nested")));
      Encoded encoded =
          Codecs.encode(
              new DynamicInt8(blockSize), source.shape(), source.dtype(), sources.data(source));
      assertArrayEquals(expected.array(key + ".weight"), encoded.bytes(Part.CODES), key);
      MemorySegment absmax = MemorySegment.ofArray(encoded.bytes(Part.ABSMAX));
      int blocks = (int) (absmax.byteSize() / Float.BYTES);
      int group = Math.min(blockSize, DoubleQuant.GROUP);
      assertTrue(blockSize <= DoubleQuant.GROUP || blocks <= DoubleQuant.GROUP, key);
      float offset = TorchSum.mean(absmax);
      assertEquals(expected.floats(key + ".offset")[0], offset, key);
      MemorySegment codes = MemorySegment.ofArray(new byte[blocks]);
      MemorySegment nested =
          MemorySegment.ofArray(new byte[Math.ceilDiv(blocks, group) * Float.BYTES]);
      for (int first = 0; first < blocks; first += group) {
        int count = Math.min(group, blocks - first);
        new DoubleQuant()
            .quantize(
                absmax.asSlice((long) first * Float.BYTES, (long) count * Float.BYTES),
                offset,
                codes.asSlice(first, count),
                nested.asSlice((long) first / group * Float.BYTES, Float.BYTES),
                (from, size, exact, decoded) -> {});
      }
      assertArrayEquals(expected.array(key + ".absmax"), codes.toArray(ValueLayout.JAVA_BYTE), key);
      assertArrayEquals(
          expected.array(key + ".nested_absmax"), nested.toArray(ValueLayout.JAVA_BYTE), key);
      checked++;
    }
    assertEquals(14, checked);
  }

  /// Activations with outliers, which no file holds: values of 6 and more do not count, and their
  /// columns become 0. The rest is the arithmetic of weights.
  @Test
  void rowwiseFunctionWithThresholdIsBitsandbytes() {
    TestCheckpoint sources = TestCheckpoint.golden("goldens/bnb/bnb_int8_rowwise.src.safetensors");
    TestCheckpoint expected =
        TestCheckpoint.golden("goldens/bnb/bnb_int8_rowwise.quant.safetensors");
    for (String dtype : List.of("f16", "bf16", "f32")) {
      String key = "act24x96_thr6." + dtype;
      TensorInfo source = sources.info(key);
      int columns = (int) source.shape().last();
      float[] values = new float[(int) source.shape().elements()];
      FloatReader.of(source.dtype()).read(sources.data(source), 0, values, values.length);
      boolean[] outlier = new boolean[columns];
      for (int i = 0; i < values.length; i++) {
        if (Math.abs(values[i]) >= 6) {
          values[i] = 0;
          outlier[i % columns] = true;
        }
      }
      LlmInt8.Encoder encoder =
          new LlmInt8.Encoder(source.shape(), DType.F32, Arena.ofAuto(), Int8Kernels.best(), false);
      Encoded encoded =
          Codecs.encode(
              new LlmInt8(),
              encoder,
              source.shape(),
              DType.F32,
              MemorySegment.ofArray(values),
              new Random(1));
      byte[] codes = encoded.bytes(Part.CODES);
      for (int i = 0; i < codes.length; i++) {
        codes[i] = outlier[i % columns] ? 0 : codes[i];
      }
      assertArrayEquals(expected.array(key + ".CB"), codes, key);
      assertArrayEquals(expected.array(key + ".SCB"), encoded.bytes(Part.SCALE), key);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"w96x160", "zerorow"})
  void rowwiseFunctionIsBitsandbytes(String name) {
    TestCheckpoint sources = TestCheckpoint.golden("goldens/bnb/bnb_int8_rowwise.src.safetensors");
    TestCheckpoint expected =
        TestCheckpoint.golden("goldens/bnb/bnb_int8_rowwise.quant.safetensors");
    for (String dtype : List.of("f16", "bf16", "f32")) {
      TensorInfo source = sources.info(name + "." + dtype);
      String key = source.name();
      LlmInt8.Encoder encoder =
          new LlmInt8.Encoder(
              source.shape(), source.dtype(), Arena.ofAuto(), Int8Kernels.best(), false);
      Encoded encoded =
          Codecs.encode(
              new LlmInt8(),
              encoder,
              source.shape(),
              source.dtype(),
              sources.data(source),
              new Random(1));
      assertArrayEquals(expected.array(key + ".CB"), encoded.bytes(Part.CODES), key);
      assertArrayEquals(expected.array(key + ".SCB"), encoded.bytes(Part.SCALE), key);
      QuantizedTensor tensor =
          new QuantizedTensor(new LlmInt8(), source.shape(), source.dtype(), encoded.parts());
      assertArrayEquals(
          expected.array(key + ".dequant_f32"), Codecs.decode(tensor, DType.F32), key);
    }
  }

  /// The golden's source is the bfloat16 weight rounded to fp16, as `Linear8bitLt` does itself.
  @Test
  void storedLlmInt8IsBitsandbytes() {
    TestCheckpoint sources = TestCheckpoint.golden("goldens/bnb/bnb_modules.src.safetensors");
    TestCheckpoint expected = TestCheckpoint.golden("goldens/bnb/bnb_modules.quant.safetensors");
    TensorInfo source = sources.info("attn.to_q.weight_f16");
    Encoded encoded =
        Codecs.encode(new LlmInt8(), source.shape(), source.dtype(), sources.data(source));
    assertArrayEquals(expected.array("llmint8.attn.to_q.weight"), encoded.bytes(Part.CODES));
    assertArrayEquals(expected.array("llmint8.attn.to_q.SCB"), encoded.bytes(Part.SCALE));
  }

  /// A wider source gives what its fp16 rounding gives.
  @Test
  void llmInt8GoesThroughHalf() {
    TestCheckpoint sources = TestCheckpoint.golden("goldens/bnb/bnb_int8_rowwise.src.safetensors");
    TensorInfo wide = sources.info("w96x160.f32");
    TensorInfo half = sources.info("w96x160.f16");
    Encoded fromWide = Codecs.encode(new LlmInt8(), wide.shape(), DType.F32, sources.data(wide));
    Encoded fromHalf = Codecs.encode(new LlmInt8(), half.shape(), DType.F16, sources.data(half));
    assertArrayEquals(fromHalf.bytes(Part.CODES), fromWide.bytes(Part.CODES));
    assertArrayEquals(fromHalf.bytes(Part.SCALE), fromWide.bytes(Part.SCALE));
    assertTrue(
        fromWide.encoder().error().sumSquaredErrors() > 0
            && fromWide.encoder().error().snrDb() > 30);
  }

  private static JsonNode json(String relative) throws IOException {
    return new ObjectMapper().readTree(Files.readString(Fixtures.path(relative)));
  }

  private static String sha(byte[] data) throws NoSuchAlgorithmException {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
  }

  @Test
  void goldenShapesAreThoseOfTheParts() {
    Map<String, Shape> shapes =
        Map.of("g64x160.b0.sym.scale", Shape.of(64), "odd33x65.b128.affine.zero", Shape.of(17));
    shapes.forEach((name, shape) -> assertEquals(shape, LINEAR.info(name).shape()));
    assertEquals(Shape.of(17), new AffineInt8(128).parts(Shape.of(33, 65)).get(2).shape());
  }
}
