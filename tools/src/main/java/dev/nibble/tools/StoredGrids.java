package dev.nibble.tools;

import dev.nibble.formats.DType;
import dev.nibble.formats.TensorInfo;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Labels the tensors of GPTQ, AWQ, compressed-tensors and scaled fp8 by names, dtypes and shapes.
final class StoredGrids {
  private static final List<String> GRID_PARTS = List.of("qzeros", "scales", "g_idx");
  private static final List<String> PACKED_PARTS =
      List.of(
          "weight_scale",
          "weight_zero_point",
          "weight_shape",
          "weight_g_idx",
          "weight_global_scale",
          "input_global_scale");
  private static final List<String> FP8_PARTS =
      List.of(
          "weight_scale",
          "weight_scale_inv",
          "scale_weight",
          "comfy_quant",
          "input_scale",
          "scale_input");
  private static final Set<DType> FP8 = Set.of(DType.F8_E4M3, DType.F8_E5M2);

  private final Map<String, TensorInfo> tensors;
  private final Map<String, String> labels = new HashMap<>();

  private StoredGrids(Map<String, TensorInfo> tensors) {
    this.tensors = tensors;
  }

  /// Labels of the tensors that belong to such weights.
  static Map<String, String> of(Map<String, TensorInfo> tensors) {
    StoredGrids grids = new StoredGrids(tensors);
    tensors.values().forEach(grids::label);
    return grids.labels;
  }

  private void label(TensorInfo tensor) {
    int dot = tensor.name().lastIndexOf('.');
    String layer = tensor.name().substring(0, dot + 1);
    switch (tensor.name().substring(dot + 1)) {
      case "qweight" -> {
        TensorInfo scales = tensors.get(layer + "scales");
        TensorInfo zeros = tensors.get(layer + "qzeros");
        if (scales != null && zeros != null && scales.shape().rank() == 2) {
          boolean gptq = tensor.shape().last() == scales.shape().last();
          long out = Math.max(1, scales.shape().last());
          String bits = gptq ? "int" + zeros.shape().last() * 32 / out : "int4";
          label(tensor, layer, bits + (gptq ? " gptq" : " awq"), GRID_PARTS);
        }
      }
      case "weight_packed" -> label(tensor, layer, packed(tensor, layer), PACKED_PARTS);
      case "weight" -> {
        boolean scaled =
            tensors.containsKey(layer + "weight_scale")
                || tensors.containsKey(layer + "weight_scale_inv")
                || tensors.containsKey(layer + "scale_weight");
        if (FP8.contains(tensor.dtype()) && scaled) {
          label(tensor, layer, tensor.dtype() == DType.F8_E4M3 ? "fp8" : "fp8-e5m2", FP8_PARTS);
        }
      }
      case "scaled_fp8" -> labels.put(tensor.name(), "fp8 statistics");
      default -> {}
    }
  }

  private String packed(TensorInfo codes, String layer) {
    if (codes.dtype() != DType.I32) {
      return tensors.containsKey(layer + "weight_global_scale") ? "nvfp4" : "mxfp4";
    }
    return "int packed";
  }

  private void label(TensorInfo codes, String layer, String label, List<String> parts) {
    labels.put(codes.name(), label);
    for (String part : parts) {
      if (tensors.containsKey(layer + part)) {
        labels.put(layer + part, label + " statistics");
      }
    }
  }
}
