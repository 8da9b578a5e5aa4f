package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.internal.simd.FourBitKernel;
import dev.nibble.formats.internal.simd.ScalarFourBit;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Everything in `goldens/bnb` that is 4-bit, byte for byte.
final class FourBitGoldenTest {
  private static final FourBitKernel KERNEL = FourBitKernel.best();
  private static final FourBitKernel SCALAR = new ScalarFourBit();

  /// One entry of the manifest.
  record Golden(JsonNode entry) {
    String caseName() {
      return entry.get("case").asText();
    }

    String key() {
      return entry.get("key").asText();
    }

    DType source() {
      return DType.valueOf(key().split("\\.")[0].toUpperCase(Locale.ROOT));
    }

    FourBit scheme() {
      String[] words = key().split("\\.");
      return new FourBit(
          FourBitType.valueOf(words[1].toUpperCase(Locale.ROOT)),
          Integer.parseInt(words[2].substring(2)),
          words[3].equals("dq"));
    }

    Shape shape() {
      List<Long> dims = new ArrayList<>();
      entry.get("shape").forEach(dim -> dims.add(dim.asLong()));
      return new Shape(dims);
    }

    MemorySegment data() {
      return file("src").data(key().split("\\.")[0]);
    }

    TestCheckpoint file(String kind) {
      return TestCheckpoint.golden("goldens/bnb/bnb4_" + caseName() + "." + kind + ".safetensors");
    }

    float offset() {
      JsonNode bits = entry.get("nested_offset_f32_bits");
      return bits == null ? Float.NaN : Float.intBitsToFloat(bits.asInt());
    }

    FourBitRun encode(long sliceBlocks, float offset, FourBitKernel kernel) {
      return FourBitRun.encode(scheme(), shape(), source(), data(), sliceBlocks, offset, kernel);
    }

    FourBitRun encode(long sliceBlocks, float offset) {
      return encode(sliceBlocks, offset, KERNEL);
    }

    @Override
    public String toString() {
      return caseName() + " " + key();
    }
  }

  static Stream<Golden> finite() throws IOException {
    // The manifest of the non-finite case holds a bare NaN.
    JsonNode manifest =
        JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build()
            .readTree(Fixtures.path("goldens/bnb/bnb4_manifest.json").toFile())
            .get("entries");
    assertEquals(116, manifest.size());
    return StreamSupport.stream(manifest.spliterator(), false)
        .map(Golden::new)
        .filter(golden -> !golden.caseName().equals("nonfinite"));
  }

  @ParameterizedTest
  @MethodSource("finite")
  void bytesAreThoseOfBitsandbytes(Golden golden) {
    assertBytes(golden, golden.encode(3, golden.offset(), KERNEL));
    assertBytes(golden, golden.encode(3, golden.offset(), SCALAR));
  }

  private static void assertBytes(Golden golden, FourBitRun run) {
    assertHash(golden, "sha256_packed", run.sha256(Part.CODES));
    assertHash(golden, "sha256_absmax", run.sha256(Part.ABSMAX));
    if (golden.scheme().doubleQuant()) {
      assertHash(golden, "sha256_nested_absmax", run.sha256(Part.NESTED_ABSMAX));
    }
    assertHash(golden, "sha256_dequant_f32", FourBitRun.sha256(run.decode(DType.F32)));
    assertHash(golden, "sha256_dequant_bf16", FourBitRun.sha256(run.decode(DType.BF16)));
    assertEquals(OptionalLong.empty(), run.nonFinite());
  }

  @ParameterizedTest
  @MethodSource("finite")
  void ownOffsetIsTorchsMean(Golden golden) {
    if (golden.scheme().doubleQuant()) {
      assertEquals(golden.offset(), golden.encode(1, Float.NaN).offset());
    }
  }

  @ParameterizedTest
  @MethodSource("finite")
  void errorIsThatOfThePeer(Golden golden) {
    QuantError error = golden.encode(2, golden.offset()).error();
    assertEquals(golden.shape().elements(), error.elements());
    double rmse = golden.entry().get("rmse").asDouble();
    assertEquals(rmse, Math.sqrt(error.sumSquaredErrors() / error.elements()), 1e-5 * rmse);
  }

  @ParameterizedTest
  @MethodSource("finite")
  void storedTensorsAreOurs(Golden golden) {
    TestCheckpoint file = golden.file("quant");
    String weight = golden.key() + ".weight";
    if (!file.tensors().containsKey(weight)) {
      return;
    }
    FourBitRun run = golden.encode(5, golden.offset());
    for (PartSpec spec : golden.scheme().parts(golden.shape())) {
      String name =
          switch (spec.part()) {
            case CODES -> weight;
            case ABSMAX -> weight + ".absmax";
            case CODEBOOK -> weight + ".quant_map";
            case NESTED_ABSMAX -> weight + ".nested_absmax";
            case NESTED_CODEBOOK -> weight + ".nested_quant_map";
            default -> "";
          };
      if (!name.isEmpty()) {
        assertEquals(spec.dtype(), file.info(name).dtype(), name);
        assertEquals(spec.shape(), file.info(name).shape(), name);
        assertArrayEquals(file.array(name), run.bytes(spec.part()), name);
      }
    }
  }

  private static void assertHash(Golden golden, String field, String actual) {
    assertEquals(golden.entry().get(field).asText(), actual, field);
  }

  @Test
  void constantsAreThoseOfTheFile() {
    TestCheckpoint file = TestCheckpoint.golden("goldens/bnb/bnb_constants.safetensors");
    assertArrayEquals(file.floats("nf4"), Codebooks.table(FourBitType.NF4).valuesByCode());
    assertArrayEquals(file.floats("fp4"), Codebooks.table(FourBitType.FP4).valuesByCode());
    assertArrayEquals(file.floats("dynamic_map"), Codebooks.dynamicMap());
  }

  @Test
  void nonFiniteBlocksAreImitatedWhereTheStorageCan() {
    TestCheckpoint file = TestCheckpoint.golden("goldens/bnb/bnb4_nonfinite.quant.safetensors");
    TestCheckpoint decoded =
        TestCheckpoint.golden("goldens/bnb/bnb4_nonfinite.dequant.safetensors");
    MemorySegment source =
        TestCheckpoint.golden("goldens/bnb/bnb4_nonfinite.src.safetensors").data("f32");
    for (FourBitType type : FourBitType.values()) {
      FourBit scheme = new FourBit(type, 64, false);
      String key = "f32." + type.name().toLowerCase(Locale.ROOT) + ".bs64.plain";
      FourBitRun run =
          FourBitRun.encode(scheme, Shape.of(320), DType.F32, source, 2, Float.NaN, KERNEL);
      assertEquals(OptionalLong.of(3), run.nonFinite());
      assertArrayEquals(file.array(key + ".weight"), run.bytes(Part.CODES), key);
      assertArrayEquals(
          file.floats(key + ".weight.absmax"),
          run.tensor().part(Part.ABSMAX).toArray(LittleEndian.FLOAT),
          key);
      // Compares NaN as NaN: its sign and payload depend on the machine.
      assertArrayEquals(
          decoded.floats(key + ".f32"), run.decode(DType.F32).toArray(LittleEndian.FLOAT), key);
    }
  }

  @Test
  void doubleQuantizationOfNonFiniteBlocksSaysWhatHelps() {
    MemorySegment source =
        TestCheckpoint.golden("goldens/bnb/bnb4_nonfinite.src.safetensors").data("f32");
    FourBit scheme = new FourBit(FourBitType.NF4, 64, true);
    NibbleException e =
        assertThrows(
            NibbleException.class,
            () ->
                FourBitRun.encode(scheme, Shape.of(320), DType.F32, source, 2, Float.NaN, KERNEL));
    assertTrue(String.valueOf(e.getMessage()).contains("--no-double-quant"), e.getMessage());
  }
}
