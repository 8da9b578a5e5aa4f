package dev.nibble.formats.quant.storage;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.quant.Codecs;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.storage.LogicalTensor.Quantized;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// GPTQ and AWQ against what GPTQModel's and AutoAWQ's code made.
class GridGoldensTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final TestCheckpoint GPTQ =
      TestCheckpoint.golden("goldens/gptq/gptq.quant.safetensors");
  private static final TestCheckpoint AWQ =
      TestCheckpoint.golden("goldens/awq/awq.quant.safetensors");

  private static QuantizedTensor read(TestCheckpoint layer, String config) throws IOException {
    JsonNode json = JSON.readTree("{\"quantization_config\": " + config + "}");
    Map<String, LogicalTensor> tensors =
        QuantStorages.read(layer, Optional.of(json), Arena.ofAuto());
    return assertInstanceOf(Quantized.class, tensors.get("l.weight")).tensor();
  }

  private static TestCheckpoint layer(TestCheckpoint all, String prefix) {
    TestCheckpoint renamed = TestCheckpoints.empty();
    TestCheckpoint layer = TestCheckpoints.subset(all, prefix);
    layer
        .tensors()
        .values()
        .forEach(
            info -> renamed.put("l." + info.name(), info.dtype(), info.shape(), layer.data(info)));
    return renamed;
  }

  /// Group indices in order of activations too: the values that a loader must produce.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "sym.noact",
        "sym.actorder",
        "sym.actorder.static",
        "asym.noact",
        "asym.actorder",
        "asym.actorder.static"
      })
  void gptqDecodesToTheHashOfTheManifest(String key) throws Exception {
    boolean symmetric = key.startsWith("sym");
    QuantizedTensor tensor =
        read(
            layer(GPTQ, key + ".layer."),
            "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 128, \"sym\": %s}"
                .formatted(symmetric));
    assertEquals(new GroupedInt(4, 128, symmetric, DType.F16), tensor.scheme());
    assertEquals(Shape.of(256, 512), tensor.shape());
    assertEquals(key.endsWith("actorder"), tensor.parts().containsKey(Part.GROUP_INDEX));
    byte[] hash = MessageDigest.getInstance("SHA-256").digest(Codecs.decode(tensor, DType.F32));
    assertEquals(hashOfManifest(key), HexFormat.of().formatHex(hash));
  }

  private static String hashOfManifest(String key) throws IOException {
    JsonNode manifest =
        JSON.readTree(Files.readString(Fixtures.path("goldens/gptq/gptq_manifest.json")));
    for (JsonNode one : manifest.get("cases")) {
      if (one.get("key").asText().equals(key)) {
        return one.get("sha256_dequant_f32_with_f16_scales_out_in").asText();
      }
    }
    throw new AssertionError("no case " + key);
  }

  @ParameterizedTest
  @ValueSource(strings = {"sym.noact", "asym.noact", "asym.actorder"})
  void gptqPacksGivenIntegersAsGptqModelDoes(String key) {
    GroupedInt scheme = new GroupedInt(4, 128, false, DType.F16);
    Shape shape = Shape.of(256, 512);
    MemorySegment codes = nibbles(GPTQ.data(key + ".expected.q"));
    assertArrayEquals(
        GPTQ.array(key + ".layer.qweight"), arrangeCodes(PartLayout.GPTQ, scheme, shape, codes));
    for (PartLayout layout : new PartLayout[] {PartLayout.GPTQ, PartLayout.GPTQ_V2}) {
      String name = layout == PartLayout.GPTQ ? ".layer.qzeros" : ".expected.qzeros_v2";
      assertArrayEquals(
          GPTQ.array(key + name),
          layout
              .arrange(
                  Part.ZERO_POINT, scheme, shape, GPTQ.data(key + ".expected.zero"), Arena.ofAuto())
              .toArray(JAVA_BYTE));
    }
    MemorySegment scales = halves(GPTQ.floats(key + ".expected.scale_f32"));
    assertArrayEquals(
        GPTQ.array(key + ".layer.scales"),
        PartLayout.GPTQ
            .arrange(Part.SCALE, scheme, shape, scales, Arena.ofAuto())
            .toArray(JAVA_BYTE));
  }

  /// A whole-word subtraction: a zero point of 0 borrows from its neighbour, and comes back.
  @Test
  void zeroPointsOfZeroSurviveTheFirstFormat() {
    GroupedInt scheme = new GroupedInt(4, 0, false, DType.F16);
    Shape shape = Shape.of(32, 32);
    byte[] zeros = new byte[32];
    zeros[3] = 5;
    zeros[31] = 15;
    MemorySegment stored =
        PartLayout.GPTQ.arrange(
            Part.ZERO_POINT, scheme, shape, MemorySegment.ofArray(zeros), Arena.ofAuto());
    assertEquals(0x00005000 - 0x11111111, stored.get(LittleEndian.INT, 0));
    byte[] codes = new byte[512];
    byte[] ones = new byte[64];
    MemorySegment.ofArray(ones).copyFrom(halves(filled(32)));
    QuantizedTensor tensor =
        new QuantizedTensor(
            scheme,
            shape,
            DType.F16,
            Map.of(
                Part.CODES,
                MemorySegment.ofArray(codes),
                Part.SCALE,
                MemorySegment.ofArray(ones),
                Part.ZERO_POINT,
                stored),
            PartLayout.GPTQ);
    float[] decoded =
        MemorySegment.ofArray(Codecs.decode(tensor, DType.F32)).toArray(LittleEndian.FLOAT);
    for (int row = 0; row < 32; row++) {
      assertEquals(-zeros[row], decoded[row * 32], "row " + row);
    }
  }

  private static float[] filled(int count) {
    float[] ones = new float[count];
    java.util.Arrays.fill(ones, 1f);
    return ones;
  }

  @ParameterizedTest
  @ValueSource(strings = {"duo", "act_only"})
  void awqDecodesToAutoAwqsHalves(String key) throws IOException {
    QuantizedTensor tensor =
        read(
            layer(AWQ, key + ".layer.fc."),
            "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128, \"zero_point\": true,"
                + " \"version\": \"gemm\"}");
    assertEquals(new GroupedInt(4, 128, false, DType.F16), tensor.scheme());
    MemorySegment ours = MemorySegment.ofArray(Codecs.decode(tensor, DType.F16));
    MemorySegment theirs = AWQ.data(key + ".expected.dequant_f16_in_out");
    for (int row = 0; row < 128; row++) {
      for (int column = 0; column < 256; column++) {
        assertEquals(
            theirs.get(LittleEndian.SHORT, (column * 128L + row) * 2),
            ours.get(LittleEndian.SHORT, (row * 256L + column) * 2));
      }
    }
  }

  @Test
  void awqPacksGivenIntegersAsAutoAwqDoes() {
    GroupedInt scheme = new GroupedInt(4, 0, false, DType.F16);
    Shape shape = Shape.of(64, 128);
    MemorySegment transposed = MemorySegment.ofArray(new byte[64 * 128]);
    MemorySegment given = AWQ.data("pack.ints_in_out");
    for (int row = 0; row < 64; row++) {
      for (int column = 0; column < 128; column++) {
        transposed.set(JAVA_BYTE, row * 128L + column, given.get(JAVA_BYTE, column * 64L + row));
      }
    }
    assertArrayEquals(
        AWQ.array("pack.qweight"),
        arrangeCodes(PartLayout.AWQ, scheme, shape, nibbles(transposed)));
    assertArrayEquals(
        AWQ.array("pack.qzeros"),
        PartLayout.AWQ
            .arrange(Part.ZERO_POINT, scheme, shape, AWQ.data("pack.zeros"), Arena.ofAuto())
            .toArray(JAVA_BYTE));
  }

  private static byte[] arrangeCodes(
      PartLayout layout, GroupedInt scheme, Shape shape, MemorySegment codes) {
    byte[] target = new byte[(int) codes.byteSize()];
    long step = layout.sliceAlignment(scheme, shape);
    for (long begin = 0; begin < shape.elements(); begin += step) {
      long count = Math.min(step, shape.elements() - begin);
      layout.putCodes(
          scheme,
          shape,
          begin,
          count,
          codes.asSlice(begin / 2, count / 2),
          MemorySegment.ofArray(target));
    }
    return target;
  }

  private static MemorySegment nibbles(MemorySegment bytes) {
    MemorySegment packed = MemorySegment.ofArray(new byte[(int) bytes.byteSize() / 2]);
    for (long i = 0; i < packed.byteSize(); i++) {
      int pair = bytes.get(JAVA_BYTE, 2 * i) | (bytes.get(JAVA_BYTE, 2 * i + 1) << 4);
      packed.set(JAVA_BYTE, i, (byte) pair);
    }
    return packed;
  }

  private static MemorySegment halves(float[] values) {
    MemorySegment halves = MemorySegment.ofArray(new byte[2 * values.length]);
    for (int i = 0; i < values.length; i++) {
      halves.set(LittleEndian.SHORT, 2L * i, Float.floatToFloat16(values[i]));
    }
    return halves;
  }
}
