package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.PythonJson;
import dev.nibble.formats.internal.TorchDtype;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartSpec;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.SvdQuant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// nibble's own keys, for what no other tool's format expresses: every scheme, every shape. Each
/// weight describes itself. The format is laid down in `docs/nibble-storage.md`.
///
/// | tensor | holds |
/// |---|---|
/// | `W` | codes, with the dtype and shape that the scheme gives them |
/// | `W.nibble.quant` | U8 `[length]`: `{"version": 1, "scheme": "affine8:100", "dtype": "bfloat16", "shape": [96, 130]}` |
/// | `W.nibble.<part>` | each other part, by its name in lower case: `scale`, `zero_point`, `absmax`, ... |
public record NibbleStorage() implements QuantStorage {
  /// Version of the keys.
  public static final int VERSION = 1;

  static final String INFIX = ".nibble.";
  static final String QUANT = INFIX + "quant";

  @Override
  public String id() {
    return "nibble";
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return shape.elements() > 0 && (!(scheme instanceof SvdQuant svd) || svd.fits(shape));
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    List<StoredTensor> plan = new ArrayList<>();
    for (PartSpec spec : scheme.parts(shape)) {
      String name =
          spec.part() == Part.CODES
              ? weight
              : weight + INFIX + spec.part().name().toLowerCase(Locale.ROOT);
      plan.add(StoredTensors.part(name, spec.part(), spec.dtype(), spec.shape()));
    }
    plan.add(StoredTensors.text(weight + QUANT, description(scheme, shape, source)));
    return List.copyOf(plan);
  }

  private static String description(QuantScheme scheme, Shape shape, DType source) {
    ObjectNode json =
        JsonNodeFactory.instance
            .objectNode()
            .put("version", VERSION)
            .put("scheme", scheme.id())
            .put("dtype", TorchDtype.name(TorchDtype.computable(source)));
    shape.dims().forEach(json.putArray("shape")::add);
    return PythonJson.compact(json);
  }
}
