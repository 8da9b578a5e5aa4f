package dev.nibble.formats.nunchaku;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.SvdBranch;
import dev.nibble.formats.quant.SvdQuant;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/// A linear layer as nunchaku's `SVDQW4A4Linear` computes it, its matrices still row-major:
///
/// ```
/// y = Q(x / smooth)·(codes · scales)ᵀ + (x·downᵀ)·upᵀ + bias
/// ```
///
/// where Q rounds inputs to 4 bits, and `down` takes inputs that are not divided by `smooth`.
///
/// @param out features of the output, a multiple of 128
/// @param in features of the input, a multiple of 128
/// @param rank a multiple of 16; ranks that the weight lacks are zeros
/// @param codes U8 `[out · in / 2]` as of a symmetric {@link GroupedInt} of 4 bits
/// @param scales BF16 `[out, in / 64]`
/// @param smooth BF16 `[in]`
/// @param down BF16 `[rank, in]`
/// @param up BF16 `[out, rank]`
/// @param bias BF16 `[out]`
record NunchakuLayer(
    int out,
    int in,
    int rank,
    MemorySegment codes,
    MemorySegment scales,
    MemorySegment smooth,
    MemorySegment down,
    MemorySegment up,
    Optional<MemorySegment> bias) {
  static final int GROUP_SIZE = 64;

  /// A tensor of the file, after the module's name and a dot.
  record Piece(DType dtype, Shape shape) {}

  /// The scheme whose codes and scales the kernels take.
  static boolean takes(SvdQuant scheme) {
    return scheme.residual().equals(new GroupedInt(4, GROUP_SIZE, true, DType.BF16));
  }

  /// Whether kernels take a weight of that shape.
  static boolean takes(Shape weight) {
    return weight.rank() == 2
        && weight.dim(0) % NunchakuPacking.TILE_ROWS == 0
        && weight.dim(1) % NunchakuPacking.INPUTS == 0;
  }

  /// The rank that a layer of that one has in the file: whole tiles, at least one.
  static int padded(int rank) {
    return Math.max(1, Math.ceilDiv(rank, NunchakuPacking.TILE)) * NunchakuPacking.TILE;
  }

  /// The names, types and shapes of a layer's tensors.
  static SequencedMap<String, Piece> pieces(int out, int in, int rank, boolean bias) {
    SequencedMap<String, Piece> pieces = new LinkedHashMap<>();
    pieces.put("qweight", new Piece(DType.I8, Shape.of(out, in / 2)));
    pieces.put("wscales", new Piece(DType.BF16, Shape.of(in / GROUP_SIZE, out)));
    pieces.put("smooth_factor", new Piece(DType.BF16, Shape.of(in)));
    pieces.put("proj_down", new Piece(DType.BF16, Shape.of(in, rank)));
    pieces.put("proj_up", new Piece(DType.BF16, Shape.of(out, rank)));
    if (bias) {
      pieces.put("bias", new Piece(DType.BF16, Shape.of(out)));
    }
    return pieces;
  }

  /// A weight of ours; scheme and shape are {@link #takes taken}.
  ///
  /// @param rank of the whole file, a multiple of 16 and not below that of the weight
  /// @param bias `[out]`
  static NunchakuLayer of(
      QuantizedTensor weight, Optional<float[]> bias, int rank, SegmentAllocator memory) {
    int out = Math.toIntExact(weight.shape().dim(0));
    int in = Math.toIntExact(weight.shape().dim(1));
    SvdBranch branch = SvdBranch.of(weight);
    int own = branch.rank();
    float[] smooth = branch.inputScale();
    float[] ownDown = branch.down();
    float[] down = new float[rank * in];
    for (int i = 0; i < own * in; i++) {
      // In double, as deepcompressor does.
      down[i] = (float) (ownDown[i] / (double) smooth[i % in]);
    }
    float[] ownUp = branch.up();
    float[] up = new float[out * rank];
    for (int row = 0; row < out; row++) {
      System.arraycopy(ownUp, row * own, up, row * rank, own);
    }
    return new NunchakuLayer(
        out,
        in,
        rank,
        weight.part(Part.CODES),
        weight.part(Part.SCALE),
        narrow(smooth, memory),
        narrow(down, memory),
        narrow(up, memory),
        bias.map(values -> narrow(values, memory)));
  }

  private static MemorySegment narrow(float[] values, SegmentAllocator memory) {
    MemorySegment bytes = memory.allocate(2L * values.length, 2);
    FloatWriter.of(DType.BF16).write(values, values.length, bytes, 0);
    return bytes;
  }

  /// The bytes of the file's tensors, by {@link #pieces}.
  SequencedMap<String, MemorySegment> pack(SegmentAllocator memory) {
    SequencedMap<String, MemorySegment> packed = new LinkedHashMap<>();
    packed.put("qweight", pack(NunchakuPacking.codes(out, in), codes, memory));
    packed.put("wscales", pack(NunchakuPacking.scales(out, in / GROUP_SIZE), scales, memory));
    packed.put("smooth_factor", pack(NunchakuPacking.scales(in, 1), smooth, memory));
    packed.put("proj_down", pack(NunchakuPacking.down(rank, in), down, memory));
    packed.put("proj_up", pack(NunchakuPacking.up(out, rank), up, memory));
    bias.ifPresent(
        values -> packed.put("bias", pack(NunchakuPacking.scales(out, 1), values, memory)));
    return packed;
  }

  private static MemorySegment pack(
      NunchakuPacking packing, MemorySegment plain, SegmentAllocator memory) {
    MemorySegment packed = memory.allocate(packing.byteSize(), Integer.BYTES);
    packing.pack(plain, packed);
    return packed;
  }

  /// The layer that a file's tensors hold, the inverse of {@link #pack}.
  static NunchakuLayer unpack(
      int out, int in, int rank, Map<String, MemorySegment> packed, SegmentAllocator memory) {
    return new NunchakuLayer(
        out,
        in,
        rank,
        unpack(NunchakuPacking.codes(out, in), packed, "qweight", memory),
        unpack(NunchakuPacking.scales(out, in / GROUP_SIZE), packed, "wscales", memory),
        unpack(NunchakuPacking.scales(in, 1), packed, "smooth_factor", memory),
        unpack(NunchakuPacking.down(rank, in), packed, "proj_down", memory),
        unpack(NunchakuPacking.up(out, rank), packed, "proj_up", memory),
        packed.containsKey("bias")
            ? Optional.of(unpack(NunchakuPacking.scales(out, 1), packed, "bias", memory))
            : Optional.empty());
  }

  private static MemorySegment unpack(
      NunchakuPacking packing,
      Map<String, MemorySegment> packed,
      String name,
      SegmentAllocator memory) {
    MemorySegment bytes = packed.get(name);
    if (bytes == null || bytes.byteSize() != packing.byteSize()) {
      throw new IllegalArgumentException(
          name + " needs " + packing.byteSize() + " bytes, has " + bytes);
    }
    MemorySegment plain = memory.allocate(packing.byteSize(), Integer.BYTES);
    packing.unpack(bytes, plain);
    return plain;
  }
}
