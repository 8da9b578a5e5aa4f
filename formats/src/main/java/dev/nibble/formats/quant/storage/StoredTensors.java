package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartSpec;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.StoredTensor.Constant;
import dev.nibble.formats.quant.storage.StoredTensor.PartContent;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// Makes stored tensors, and the names beside a weight's.
final class StoredTensors {
  private static final String WEIGHT = "weight";

  private StoredTensors() {}

  /// A part.
  static StoredTensor part(String name, Part part, DType dtype, Shape shape) {
    return new StoredTensor(name, new PartContent(part, dtype, shape));
  }

  /// An ASCII text as a U8 vector.
  static StoredTensor text(String name, String text) {
    List<Byte> bytes = new ArrayList<>();
    for (byte b : text.getBytes(StandardCharsets.US_ASCII)) {
      bytes.add(b);
    }
    return new StoredTensor(name, new Constant(DType.U8, Shape.of(bytes.size()), bytes));
  }

  /// Whole numbers as an I64 vector.
  static StoredTensor numbers(String name, List<Long> numbers) {
    List<Byte> bytes = new ArrayList<>();
    for (long number : numbers) {
      for (int shift = 0; shift < 64; shift += 8) {
        bytes.add((byte) (number >>> shift));
      }
    }
    return new StoredTensor(name, new Constant(DType.I64, Shape.of(numbers.size()), bytes));
  }

  /// What stands before `weight` in the name of a layer's weight: `P.`.
  ///
  /// @throws IllegalArgumentException if the name doesn't end in `.weight`
  static String layerPrefix(String name) {
    if (!name.endsWith("." + WEIGHT)) {
      throw new IllegalArgumentException(name + " is not the weight of a layer");
    }
    return name.substring(0, name.length() - WEIGHT.length());
  }

  /// The part of a scheme's own list.
  static PartSpec spec(QuantScheme scheme, Shape shape, Part part) {
    return scheme.parts(shape).stream()
        .filter(spec -> spec.part() == part)
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException(scheme.id() + " has no part " + part));
  }

  /// Refuses a weight that a storage doesn't take.
  static void require(QuantStorage storage, QuantScheme scheme, Shape shape) {
    if (!storage.stores(scheme, shape)) {
      throw new IllegalArgumentException(
          storage.id() + " cannot store a weight " + shape + " as " + scheme.id());
    }
  }
}
