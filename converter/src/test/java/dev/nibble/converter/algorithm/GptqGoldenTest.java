package dev.nibble.converter.algorithm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// GPTQ against what GPTQModel's own quantizer made of the same weight and inputs.
class GptqGoldenTest {
  private static final int OUT = 256;
  private static final int IN = 512;
  private static final int GROUPS = 4;

  private static float[] halves(MemorySegment segment) {
    float[] values = new float[(int) segment.byteSize() / 2];
    for (int i = 0; i < values.length; i++) {
      values[i] = Float.float16ToFloat(segment.get(LittleEndian.SHORT, 2L * i));
    }
    return values;
  }

  private static MemorySegment tensor(Checkpoint checkpoint, String name) {
    TensorInfo info = checkpoint.tensors().get(name);
    if (info == null) {
      throw new AssertionError("no tensor " + name);
    }
    return checkpoint.data(info);
  }

  private static double outputErrorOf(String key) throws IOException {
    JsonNode manifest =
        new ObjectMapper()
            .readTree(Files.readString(Fixtures.path("goldens/gptq/gptq_manifest.json")));
    for (JsonNode one : manifest.get("cases")) {
      if (one.get("key").asText().equals(key)) {
        return one.get("output_mse").asDouble();
      }
    }
    throw new AssertionError("no case " + key);
  }

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
  void equalsGptqModel(String key) throws IOException {
    try (Checkpoint source = Checkpoints.open(Fixtures.path("goldens/gptq/gptq.src.safetensors"));
        Checkpoint golden =
            Checkpoints.open(Fixtures.path("goldens/gptq/gptq.quant.safetensors"))) {
      float[] weight = halves(tensor(source, "weight"));
      TestInput input =
          new TestInput(
              halves(tensor(source, "calibration")),
              IN,
              Optional.of(tensor(source, "hessian_f32")));
      GptqOptions options =
          new GptqOptions(0.01, key.contains("actorder"), key.endsWith("static"), false);
      GroupedInt scheme = new GroupedInt(4, 128, key.startsWith("sym"), DType.F32);
      Gptq gptq = new Gptq(GptqFactor.of(input, Optional.empty(), options, 2));
      Quantized ours = Quantized.of(weight, OUT, scheme, gptq, 100);
      byte[] codes = tensor(golden, key + ".expected.q").toArray(JAVA_BYTE);
      int equal = 0;
      for (int i = 0; i < codes.length; i++) {
        equal += codes[i] == ours.codes()[i] ? 1 : 0;
      }
      assertTrue(equal >= 0.995 * codes.length, equal + " of " + codes.length + " codes");
      compareStatistics(key, golden, ours, codes);
      double limit =
          Math.min(1.01 * outputErrorOf(key), outputErrorOf("rtn." + key.split("\\.")[0]));
      double error = input.outputError(weight, ours.values());
      assertTrue(error <= limit, error + " above " + limit);
    }
  }

  /// Scales, zero points where the group's codes are the same, and the group of each input.
  private static void compareStatistics(
      String key, Checkpoint golden, Quantized ours, byte[] codes) {
    float[] scales = tensor(golden, key + ".expected.scale_f32").toArray(LittleEndian.FLOAT);
    byte[] zeros = tensor(golden, key + ".expected.zero").toArray(JAVA_BYTE);
    int[] index = tensor(golden, key + ".layer.g_idx").toArray(LittleEndian.INT);
    MemorySegment ourScales = ours.part(Part.SCALE);
    MemorySegment ourZeros = ours.part(Part.ZERO_POINT);
    assertArrayEquals(index, ours.part(Part.GROUP_INDEX).toArray(LittleEndian.INT));
    for (int group = 0; group < OUT * GROUPS; group++) {
      if (isSame(group, index, codes, ours.codes())) {
        assertEquals(zeros[group], ourZeros.get(JAVA_BYTE, group), "zero of group " + group);
        assertEquals(
            scales[group],
            ourScales.getAtIndex(LittleEndian.FLOAT, group),
            1e-5 * scales[group],
            "scale of group " + group);
      }
    }
  }

  private static boolean isSame(int group, int[] index, byte[] codes, byte[] others) {
    for (int column = 0; column < IN; column++) {
      int at = group / GROUPS * IN + column;
      if (index[column] == group % GROUPS && codes[at] != others[at]) {
        return false;
      }
    }
    return true;
  }
}
