package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.internal.simd.Int8Kernels;
import dev.nibble.formats.internal.simd.NibbleKernels;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// Reads {@link GroupedInt} weights whose codes stand in the order of their elements.
final class GroupedIntDecoder extends BlockDecoder {
  private final GroupedInt scheme;
  private final MemorySegment scales;
  private final Zeros zeros;
  private final int flip;
  private final NibbleKernels nibbles = NibbleKernels.best();

  /// The zero point of a group.
  @FunctionalInterface
  private interface Zeros {
    int of(long group);
  }

  GroupedIntDecoder(GroupedInt scheme, QuantizedTensor tensor, Int8Kernels kernels) {
    super(Blocks.of(scheme.groupSize(), tensor.shape()), tensor, kernels);
    this.scheme = scheme;
    this.scales = tensor.part(Part.SCALE);
    this.flip = tensor.layout() == PartLayout.SIGNED ? 0x80 : 0;
    this.zeros = zeros(tensor);
  }

  private Zeros zeros(QuantizedTensor tensor) {
    Optional<MemorySegment> stored = Optional.ofNullable(tensor.parts().get(Part.ZERO_POINT));
    if (stored.isEmpty()) {
      int middle = scheme.middle();
      return _ -> middle;
    }
    MemorySegment bytes = stored.get();
    if (tensor.layout() == PartLayout.PACKED) {
      WordLayout words = new WordLayout(tensor.layout(), scheme, tensor.shape());
      long groups = scheme.groups(tensor.shape().last());
      return group -> words.zeroPoint(bytes, group / groups, group % groups);
    }
    return group -> Byte.toUnsignedInt(bytes.get(JAVA_BYTE, group)) ^ flip;
  }

  @Override
  void decodeBlock(long block, long at, float[] out, int from, int to) {
    float scale = ScaleType.get(scales, block, scheme.scale());
    int zero = zeros.of(block);
    if (scheme.bits() == 8) {
      kernels.decodeAffine(codes, at, flip, zero, scale, out, from, to);
      return;
    }
    nibbles.decode(codes, at, zero, scale, out, from, to);
  }
}
