package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.internal.PythonJson;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/// Scaled 8-bit floats in ComfyUI's single files, one scale a weight.
///
/// | tensor | LAYER | HEADER | MARKER |
/// |---|---|---|---|
/// | `P.weight` | F8_E4M3 or F8_E5M2 `[out, in]` | same | same |
/// | `P.weight_scale` | F32 `[]` | same | |
/// | `P.scale_weight` | | | F32 `[]` |
/// | `P.comfy_quant` | U8, `{"format": "float8_e4m3fn"}` | | |
/// | `scaled_fp8` | | | of the weights' type `[0]`, once a file, after the prefix `model.diffusion_model.` where names have it |
/// | metadata | | `_quantization_metadata`: the format of each layer | |
///
/// Sources: ComfyUI `QUANTIZATION.md`, `comfy/utils.py` `convert_old_quants`.
///
/// @param transport how the file says which layers are quantized
public record ComfyStorage(Transport transport) implements QuantStorage {
  static final String OLD_SCALE = "scale_weight";
  static final String OLD_MARKER = "scaled_fp8";
  static final String QUANT = "comfy_quant";

  /// Key of the file metadata that names the format of each layer.
  public static final String METADATA = "_quantization_metadata";

  private static final String PREFIX = "model.diffusion_model.";

  /// How a file says which layers are quantized.
  public enum Transport {
    /// A tensor of each layer: what ComfyUI writes today.
    LAYER("comfyui"),
    /// The metadata of the file.
    HEADER("comfyui-header"),
    /// The convention before: one marker a file.
    MARKER("scaled-fp8");

    private final String id;

    Transport(String id) {
      this.id = id;
    }
  }

  @Override
  public String id() {
    return transport.id;
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return scheme instanceof Fp8 fp8
        && fp8.scaling() == Fp8.Scaling.TENSOR
        && fp8.scale() == DType.F32
        && shape.rank() == 2
        && shape.elements() > 0;
  }

  @Override
  public QuantScheme adapt(QuantScheme scheme, DType source) {
    return scheme instanceof Fp8 fp8 ? fp8.withScale(DType.F32) : scheme;
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    Fp8 fp8 = (Fp8) scheme;
    String prefix = StoredTensors.layerPrefix(weight);
    String scale = transport == Transport.MARKER ? OLD_SCALE : CompressedTensorsStorage.SCALE;
    List<StoredTensor> plan = new ArrayList<>();
    plan.add(StoredTensors.part(weight, Part.CODES, fp8.type().dtype(), shape));
    plan.add(StoredTensors.part(prefix + scale, Part.SCALE, DType.F32, Shape.of()));
    if (transport == Transport.LAYER) {
      plan.add(StoredTensors.text(prefix + QUANT, PythonJson.compact(layer(fp8))));
    }
    return List.copyOf(plan);
  }

  private static ObjectNode layer(Fp8 scheme) {
    return JsonNodeFactory.instance.objectNode().put("format", scheme.type().torchName());
  }

  @Override
  public Optional<StoredTensor> fileMarker(SequencedMap<String, QuantScheme> weights) {
    if (transport != Transport.MARKER) {
      return Optional.empty();
    }
    String first = weights.firstEntry().getKey();
    DType type = ((Fp8) weights.firstEntry().getValue()).type().dtype();
    if (weights.values().stream().distinct().count() > 1) {
      throw new UnsupportedException(
          "--format " + id(), "its marker names one type for the whole file: use --format comfyui");
    }
    String name = (first.startsWith(PREFIX) ? PREFIX : "") + OLD_MARKER;
    return Optional.of(
        new StoredTensor(name, new StoredTensor.Constant(type, Shape.of(0), List.of())));
  }

  @Override
  public Map<String, String> metadata(SequencedMap<String, QuantScheme> weights) {
    if (transport != Transport.HEADER) {
      return Map.of();
    }
    ObjectNode json = JsonNodeFactory.instance.objectNode().put("format_version", "1.0");
    ObjectNode layers = json.putObject("layers");
    weights.forEach((weight, scheme) -> {
      String prefix = StoredTensors.layerPrefix(weight);
      layers.set(prefix.substring(0, prefix.length() - 1), layer((Fp8) scheme));
    });
    return Map.of(METADATA, PythonJson.compact(json));
  }
}
