package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import java.util.List;

/// A cast to an 8-bit float: the tensor under its own name, and nothing that tells of it. Every
/// tool that knows the type opens it.
public record PlainStorage() implements QuantStorage {
  @Override
  public String id() {
    return "plain";
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return scheme instanceof Fp8 fp8 && fp8.scaling() == Fp8.Scaling.NONE && shape.elements() > 0;
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    return List.of(StoredTensors.part(weight, Part.CODES, ((Fp8) scheme).type().dtype(), shape));
  }
}
