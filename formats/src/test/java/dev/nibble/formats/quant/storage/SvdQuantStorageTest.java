package dev.nibble.formats.quant.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.quant.Codecs;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.SvdBranch;
import dev.nibble.formats.quant.SvdQuant;
import dev.nibble.formats.quant.storage.LogicalTensor.Quantized;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SvdQuantStorageTest {
  private static final Shape SHAPE = Shape.of(40, 64);

  private static Codecs.Encoded encode(SvdQuant scheme) {
    SvdBranch branch =
        SvdBranch.of(
            SHAPE,
            ramp(64, 1, 0.2f),
            ramp(40 * scheme.rank(), 0, 0.003f),
            ramp(64 * scheme.rank(), 1, -0.004f));
    return Codecs.encode(
        scheme,
        scheme.encoder(SHAPE, DType.F32, branch, Arena.ofAuto()),
        SHAPE,
        DType.F32,
        TestCheckpoints.gaussian(SHAPE, 5),
        new Random(9));
  }

  private static float[] ramp(int count, float first, float step) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = first + i * step;
    }
    return values;
  }

  private static TestCheckpoint stored(SvdQuant scheme) {
    TestCheckpoint checkpoint = TestCheckpoints.empty();
    TestCheckpoints.store(
        checkpoint,
        QuantStorages.choose(scheme, SHAPE),
        "l.0.weight",
        scheme,
        SHAPE,
        DType.BF16,
        encode(scheme));
    return checkpoint;
  }

  private static Map<String, LogicalTensor> read(TestCheckpoint checkpoint) {
    return QuantStorages.read(checkpoint, Optional.empty(), Arena.ofAuto());
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4+svd8", "int4:g64+svd3", "fp8:row+svd1", "nf4:plain+scale"})
  void whatIsStoredReadsBack(String id) {
    SvdQuant scheme = (SvdQuant) QuantSchemes.parse(id);
    TestCheckpoint checkpoint = stored(scheme);
    assertTrue(checkpoint.tensors().containsKey("l.0.weight.nibble.input_scale"));
    assertEquals(
        scheme.rank() > 0, checkpoint.tensors().containsKey("l.0.weight.nibble.low_rank_down"));
    Map<String, LogicalTensor> tensors = read(checkpoint);
    assertEquals(List.of("l.0.weight"), List.copyOf(tensors.keySet()));
    Quantized weight = assertInstanceOf(Quantized.class, tensors.get("l.0.weight"));
    assertEquals(new NibbleStorage(), weight.storage());
    assertEquals(scheme, weight.tensor().scheme());
    assertEquals(DType.BF16, weight.tensor().dtype());
    QuantizedTensor expected =
        new QuantizedTensor(scheme, SHAPE, DType.BF16, encode(scheme).parts());
    assertArrayEquals(
        Codecs.decode(expected, DType.F32), Codecs.decode(weight.tensor(), DType.F32));
  }

  @Test
  void noOtherStorageHoldsABranch() {
    SvdQuant scheme = (SvdQuant) QuantSchemes.parse("int4:g64+svd32");
    for (QuantStorage storage : QuantStorages.all()) {
      assertEquals(storage instanceof NibbleStorage, storage.stores(scheme, SHAPE), storage.id());
    }
    assertFalse(new NibbleStorage().stores(scheme, Shape.of(40, 64, 3, 3)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"input_scale", "low_rank_up", "low_rank_down"})
  void aBranchThatIsIncompleteOrOfAnotherSizeIsRefused(String part) {
    SvdQuant scheme = (SvdQuant) QuantSchemes.parse("nf4+svd8");
    String name = "l.0.weight.nibble." + part;
    TestCheckpoint less = stored(scheme);
    less.remove(name);
    assertThrows(FormatException.class, () -> read(less));
    TestCheckpoint other = stored(scheme);
    other.put(name, DType.BF16, Shape.of(8, 8), MemorySegment.ofArray(new byte[128]));
    FormatException refused = assertThrows(FormatException.class, () -> read(other));
    assertTrue(String.valueOf(refused.getMessage()).contains(name), refused.getMessage());
    TestCheckpoint more = stored((SvdQuant) QuantSchemes.parse("nf4+scale"));
    if (!part.equals("input_scale")) {
      more.put(name, DType.BF16, Shape.of(8, 8), MemorySegment.ofArray(new byte[128]));
      assertThrows(FormatException.class, () -> read(more));
    }
  }
}
