package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartSpec;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// The tensors that bitsandbytes' `Linear4bit` and `Linear8bitLt` have in a state dict, which
/// diffusers and transformers open.
///
/// | tensor | holds |
/// |---|---|
/// | `P.weight` | 4-bit: codes U8 `[ceil(n/2), 1]`; LLM.int8: codes I8 `[out, in]` |
/// | `P.weight.absmax` | F32 `[blocks]`; U8 with double quantization |
/// | `P.weight.quant_map` | F32 `[16]` |
/// | `P.weight.nested_absmax`, `.nested_quant_map` | double quantization: F32 `[groups]`, F32 `[256]` |
/// | `P.weight.quant_state.bitsandbytes__nf4` (`__fp4`) | JSON, see {@link QuantStateJson}; its length depends on the data with double quantization only |
/// | `P.SCB` | LLM.int8: F32 `[out]`, largest magnitude of each row |
/// | `P.weight_format` | LLM.int8: U8 scalar 0, row-major |
///
/// Source: bitsandbytes 0.50, `QuantState.as_dict`, `Linear8bitLt._save_to_state_dict`.
public record BitsAndBytesStorage() implements QuantStorage {
  static final String QUANT_STATE = ".quant_state.bitsandbytes__";
  static final String SCB = "SCB";
  static final String WEIGHT_FORMAT = "weight_format";

  @Override
  public String id() {
    return "bitsandbytes";
  }

  /// 4-bit weights may have any shape but a scalar's, LLM.int8 takes matrices.
  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return switch (scheme) {
      case FourBit _ -> shape.rank() > 0 && shape.elements() > 0;
      case LlmInt8 _ -> shape.rank() == 2 && shape.elements() > 0;
      default -> false;
    };
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    return switch (scheme) {
      case FourBit fourBit -> planFourBit(weight, fourBit, shape, source);
      case LlmInt8 llmInt8 -> planLlmInt8(weight, llmInt8, shape);
      default -> throw new AssertionError(scheme);
    };
  }

  private static List<StoredTensor> planFourBit(
      String weight, FourBit scheme, Shape shape, DType source) {
    List<StoredTensor> plan = new ArrayList<>();
    Shape packed = Shape.of(Math.ceilDiv(shape.elements(), 2), 1);
    plan.add(StoredTensors.part(weight, Part.CODES, DType.U8, packed));
    addStatistic(plan, weight + ".absmax", Part.ABSMAX, scheme, shape);
    addStatistic(plan, weight + ".quant_map", Part.CODEBOOK, scheme, shape);
    QuantStateJson state = new QuantStateJson(scheme, source, shape);
    String name = weight + QUANT_STATE + QuantStateJson.typeName(scheme.type());
    if (scheme.doubleQuant()) {
      addStatistic(plan, weight + ".nested_absmax", Part.NESTED_ABSMAX, scheme, shape);
      addStatistic(plan, weight + ".nested_quant_map", Part.NESTED_CODEBOOK, scheme, shape);
      plan.add(new StoredTensor(name, new StoredTensor.Document(state.maxLength())));
    } else {
      plan.add(StoredTensors.text(name, state.text(0)));
    }
    return List.copyOf(plan);
  }

  private static void addStatistic(
      List<StoredTensor> plan, String name, Part part, QuantScheme scheme, Shape shape) {
    PartSpec spec = StoredTensors.spec(scheme, shape, part);
    plan.add(StoredTensors.part(name, part, spec.dtype(), spec.shape()));
  }

  private static List<StoredTensor> planLlmInt8(String weight, LlmInt8 scheme, Shape shape) {
    String prefix = StoredTensors.layerPrefix(weight);
    Shape rows = StoredTensors.spec(scheme, shape, Part.SCALE).shape();
    return List.of(
        StoredTensors.part(weight, Part.CODES, DType.I8, shape),
        StoredTensors.part(prefix + SCB, Part.SCALE, DType.F32, rows),
        new StoredTensor(
            prefix + WEIGHT_FORMAT,
            new StoredTensor.Constant(DType.U8, Shape.of(), List.of((byte) 0))));
  }

  @Override
  public byte[] document(
      QuantScheme scheme, Shape shape, DType source, Map<Part, MemorySegment> parts) {
    MemorySegment offset = parts.get(Part.NESTED_OFFSET);
    if (!(scheme instanceof FourBit fourBit) || offset == null) {
      throw new IllegalArgumentException(
          scheme.id() + " has no document: only 4-bit weights with double quantization have one");
    }
    float mean = offset.get(LittleEndian.FLOAT, 0);
    if (!Float.isFinite(mean)) {
      throw new UnsupportedException(
          "a weight " + shape + " with numbers that are not finite",
          "double quantization would ruin all of it: quantize it as '"
              + new FourBit(fourBit.type(), fourBit.blockSize(), false).id()
              + "', or keep it");
    }
    return new QuantStateJson(fourBit, source, shape)
        .text(mean)
        .getBytes(StandardCharsets.US_ASCII);
  }
}
