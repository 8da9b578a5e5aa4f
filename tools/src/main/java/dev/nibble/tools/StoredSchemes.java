package dev.nibble.tools;

import dev.nibble.formats.DType;
import dev.nibble.formats.TensorInfo;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Tells from names and dtypes alone which stored tensors belong to quantized weights: enough to
/// label a listing without reading any data.
final class StoredSchemes {
  private static final String WEIGHT = ".weight";
  private static final String STATE = ".quant_state.bitsandbytes__";
  private static final String NIBBLE = ".nibble.";
  private static final int FOUR_BIT_CODES = 16;
  private static final List<String> FOUR_BIT_PARTS =
      List.of(".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map");

  private final Map<String, TensorInfo> tensors;
  private final Map<String, String> labels = new HashMap<>();

  private StoredSchemes(Map<String, TensorInfo> tensors) {
    this.tensors = tensors;
  }

  /// A label for each tensor that holds codes (`nf4`) or statistics (`nf4 statistics`).
  static Map<String, String> of(Map<String, TensorInfo> tensors) {
    StoredSchemes schemes = new StoredSchemes(tensors);
    tensors.values().forEach(schemes::label);
    schemes.labels.putAll(StoredGrids.of(tensors));
    return schemes.labels;
  }

  private void label(TensorInfo tensor) {
    String name = tensor.name();
    int state = name.indexOf(STATE);
    if (state >= 0) {
      String scheme = name.substring(state + STATE.length());
      String weight = name.substring(0, state);
      label(weight, scheme);
      labels.put(name, scheme + " statistics");
      FOUR_BIT_PARTS.forEach(part -> label(weight + part, scheme + " statistics"));
    } else if (name.contains(NIBBLE)) {
      String weight = name.substring(0, name.indexOf(NIBBLE));
      String scheme = ofNibble(weight) + branch(weight);
      label(weight, scheme);
      labels.put(name, scheme + " statistics");
    } else if (name.endsWith(WEIGHT) && tensor.dtype() == DType.I8) {
      labelInt8(name);
    }
  }

  /// Which of the schemes that nibble stores under its own keys has these statistics.
  private String ofNibble(String weight) {
    TensorInfo codebook = tensors.get(weight + NIBBLE + "codebook");
    if (codebook != null) {
      // Only the numbers tell NF4 from FP4.
      return codebook.shape().elements() == FOUR_BIT_CODES ? "4-bit" : "bnb8-dynamic";
    }
    TensorInfo codes = tensors.get(weight);
    if (codes != null && (codes.dtype() == DType.F8_E4M3 || codes.dtype() == DType.F8_E5M2)) {
      return codes.dtype() == DType.F8_E4M3 ? "fp8" : "fp8-e5m2";
    }
    TensorInfo scale = tensors.get(weight + NIBBLE + "scale");
    if (codes != null && codes.shape().rank() == 1 && scale != null && scale.dtype() != DType.F32) {
      return "int packed";
    }
    return tensors.containsKey(weight + NIBBLE + "zero_point") ? "affine8" : "absmax8";
  }

  /// What stands beside the weight, as {@link dev.nibble.formats.quant.SvdQuant} names it.
  private String branch(String weight) {
    TensorInfo up = tensors.get(weight + NIBBLE + "low_rank_up");
    if (up != null) {
      return "+svd" + up.shape().last();
    }
    return tensors.containsKey(weight + NIBBLE + "input_scale") ? "+scale" : "";
  }

  private void labelInt8(String weight) {
    String module = weight.substring(0, weight.length() - WEIGHT.length());
    if (tensors.containsKey(module + ".SCB")) {
      labels.put(weight, "int8");
      label(module + ".SCB", "int8 statistics");
      label(module + ".weight_format", "int8 statistics");
    } else if (tensors.containsKey(weight + "_scale")) {
      String scheme = tensors.containsKey(weight + "_zero_point") ? "affine8" : "absmax8";
      labels.put(weight, scheme);
      label(weight + "_scale", scheme + " statistics");
      label(weight + "_zero_point", scheme + " statistics");
      label(weight + "_shape", scheme + " statistics");
    }
  }

  private void label(String name, String label) {
    if (tensors.containsKey(name)) {
      labels.put(name, label);
    }
  }
}
