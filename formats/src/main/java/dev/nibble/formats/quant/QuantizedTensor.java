package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/// A quantized weight: its scheme and the bytes of its parts. Borrows the segments.
///
/// @param scheme how to read the parts
/// @param shape of the weight, `[out, in]` for a linear layer
/// @param dtype of the weight before quantization, which dequantizing returns to
/// @param parts bytes of each part that {@link QuantScheme#parts} lists, little-endian
/// @param layout how the file arranges the parts; decoders read them where they lie
public record QuantizedTensor(
    QuantScheme scheme,
    Shape shape,
    DType dtype,
    Map<Part, MemorySegment> parts,
    PartLayout layout) {
  public QuantizedTensor {
    parts = Map.copyOf(parts);
    boolean possible =
        switch (layout) {
          case PLAIN -> true;
          case SIGNED ->
              scheme instanceof AffineInt8
                  || (scheme instanceof GroupedInt grouped && grouped.bits() == 8);
          case PACKED, GPTQ, GPTQ_V2, AWQ -> scheme instanceof GroupedInt && shape.rank() == 2;
        };
    if (!possible) {
      throw new IllegalArgumentException(
          "a " + scheme.id() + " weight " + shape + " has no layout " + layout);
    }
    for (PartSpec spec : scheme.parts(shape)) {
      MemorySegment bytes = parts.get(spec.part());
      long size = layout.byteSize(scheme, shape, spec);
      if (bytes == null || bytes.byteSize() != size) {
        throw new IllegalArgumentException(
            "part "
                + spec.part()
                + " of a "
                + scheme.id()
                + " weight "
                + shape
                + " needs "
                + size
                + " bytes, has "
                + (bytes == null ? "none" : bytes.byteSize()));
      }
    }
  }

  /// A weight whose parts are all stored as the scheme says.
  public QuantizedTensor(
      QuantScheme scheme, Shape shape, DType dtype, Map<Part, MemorySegment> parts) {
    this(scheme, shape, dtype, parts, PartLayout.PLAIN);
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
