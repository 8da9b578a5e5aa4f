package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FourBitKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.EnumMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.OptionalLong;

/// One weight quantized for a test, with everything that came out.
record FourBitRun(
    QuantizedTensor tensor, QuantError error, OptionalLong nonFinite, FourBitKernel kernel) {

  /// Encodes in slices of `sliceBlocks` blocks, last slice first.
  ///
  /// @param offset for double quantization, or NaN for our own
  static FourBitRun encode(
      FourBit scheme,
      Shape shape,
      DType source,
      MemorySegment data,
      long sliceBlocks,
      float offset,
      FourBitKernel kernel) {
    FourBitEncoder encoder = new FourBitEncoder(scheme, shape, source, Arena.ofAuto(), kernel);
    long elements = shape.elements();
    MemorySegment codes = MemorySegment.ofArray(new byte[(int) scheme.codeBytes(elements)]);
    long step = sliceBlocks * scheme.blockSize();
    for (long begin = (elements - 1) / step * step; begin >= 0; begin -= step) {
      long count = Math.min(step, elements - begin);
      encoder.encode(
          begin,
          count,
          data.asSlice(source.byteSize(begin), source.byteSize(count)),
          codes.asSlice(begin / 2, scheme.codeBytes(count)));
    }
    Map<Part, MemorySegment> parts =
        new EnumMap<>(Float.isNaN(offset) ? encoder.finish() : encoder.finish(offset));
    parts.put(Part.CODES, codes);
    return new FourBitRun(
        new QuantizedTensor(scheme, shape, source, parts),
        encoder.error(),
        encoder.nonFinite(),
        kernel);
  }

  MemorySegment decode(DType type) {
    long elements = tensor.shape().elements();
    MemorySegment target = MemorySegment.ofArray(new byte[(int) type.byteSize(elements)]);
    new FourBitDecoder(tensor, (FourBit) tensor.scheme(), kernel).decode(0, elements, target, type);
    return target;
  }

  byte[] bytes(Part part) {
    return tensor.part(part).toArray(ValueLayout.JAVA_BYTE);
  }

  float offset() {
    return tensor.part(Part.NESTED_OFFSET).get(LittleEndian.FLOAT, 0);
  }

  String sha256(Part part) {
    return sha256(tensor.part(part));
  }

  static String sha256(MemorySegment bytes) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(bytes.toArray(ValueLayout.JAVA_BYTE)));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
