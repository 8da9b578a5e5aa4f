package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Set;

/// A quantized weight: its scheme and the bytes of its parts. Borrows the segments.
///
/// @param scheme how to read the parts
/// @param shape of the weight, `[out, in]` for a linear layer
/// @param dtype of the weight before quantization, which dequantizing returns to
/// @param parts bytes of each part that {@link QuantScheme#parts} lists, little-endian
/// @param flipped parts of {@link AffineInt8} whose bytes have bit 7 inverted (unsigned numbers
///   that a file stores as signed ones minus 128), which its decoder undoes: large codes are not
///   copied
public record QuantizedTensor(
    QuantScheme scheme,
    Shape shape,
    DType dtype,
    Map<Part, MemorySegment> parts,
    Set<Part> flipped) {
  public QuantizedTensor {
    parts = Map.copyOf(parts);
    flipped = Set.copyOf(flipped);
    if (!flipped.isEmpty() && !(scheme instanceof AffineInt8)) {
      throw new IllegalArgumentException(scheme.id() + " has no parts with bit 7 inverted");
    }
    for (PartSpec spec : scheme.parts(shape)) {
      MemorySegment bytes = parts.get(spec.part());
      if (bytes == null || bytes.byteSize() != spec.byteSize()) {
        throw new IllegalArgumentException(
            "part "
                + spec.part()
                + " of a "
                + scheme.id()
                + " weight "
                + shape
                + " needs "
                + spec.byteSize()
                + " bytes, has "
                + (bytes == null ? "none" : bytes.byteSize()));
      }
    }
  }

  /// A weight whose parts are all stored as the scheme says.
  public QuantizedTensor(
      QuantScheme scheme, Shape shape, DType dtype, Map<Part, MemorySegment> parts) {
    this(scheme, shape, dtype, parts, Set.of());
  }

  /// The bytes of a part that the scheme has.
  public MemorySegment part(Part part) {
    MemorySegment bytes = parts.get(part);
    if (bytes == null) {
      throw new IllegalArgumentException(scheme.id() + " has no part " + part);
    }
    return bytes;
  }
}
