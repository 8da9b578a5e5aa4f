package dev.nibble.formats.internal.simd;

import java.util.EnumMap;
import java.util.Map;

/// Chooses the code that reads and writes blocks of ggml's types. The scalar code is handed in: it
/// stands beside the drawing of the block, in the type's codec.
public final class GgmlKernels {
  private static final Map<BlockKind, Warmup> DECODE = warmups();
  private static final Map<BlockKind, Warmup> ENCODE = warmups();

  private GgmlKernels() {}

  /// Decodes whole blocks, from the first on, to `x[from, from + count)`.
  @FunctionalInterface
  public interface Decode {
    void decode(byte[] blocks, float[] x, int from, int count);
  }

  /// Encodes `x[from, from + count)`, finite numbers, to whole blocks, the first one first.
  @FunctionalInterface
  public interface Encode {
    void encode(float[] x, int from, int count, byte[] blocks);
  }

  private static boolean usesVectors() {
    return Simd.isVector() && VectorLanes.isSupported();
  }

  private static Map<BlockKind, Warmup> warmups() {
    Map<BlockKind, Warmup> warmups = new EnumMap<>(BlockKind.class);
    for (BlockKind kind : BlockKind.values()) {
      warmups.put(kind, new Warmup());
    }
    return warmups;
  }

  /// The fastest decoder of blocks of that kind for this machine.
  public static Decode decoder(BlockKind kind, Decode scalar) {
    return !usesVectors()
        ? scalar
        : Simd.choose(
            () -> scalar,
            () ->
                warmingDecoder(
                    DECODE.getOrDefault(kind, new Warmup()),
                    VectorGgmlDecode.of(kind, scalar),
                    scalar),
            () -> VectorGgmlDecode.of(kind, scalar));
  }

  /// The fastest encoder of blocks of that kind for this machine.
  public static Encode encoder(BlockKind kind, Encode scalar) {
    return !usesVectors()
        ? scalar
        : Simd.choose(
            () -> scalar,
            () ->
                warmingEncoder(
                    ENCODE.getOrDefault(kind, new Warmup()),
                    VectorGgmlEncode.of(kind, scalar),
                    scalar),
            () -> VectorGgmlEncode.of(kind, scalar));
  }

  private static Decode warmingDecoder(Warmup warmup, Decode vector, Decode scalar) {
    return (blocks, x, from, count) -> {
      if (warmup.isWarm()) {
        vector.decode(blocks, x, from, count);
      } else {
        warmup.run(
            count,
            () -> vector.decode(blocks, x, from, count),
            () -> scalar.decode(blocks, x, from, count));
      }
    };
  }

  private static Encode warmingEncoder(Warmup warmup, Encode vector, Encode scalar) {
    return (x, from, count, blocks) -> {
      if (warmup.isWarm()) {
        vector.encode(x, from, count, blocks);
      } else {
        warmup.run(
            count,
            () -> vector.encode(x, from, count, blocks),
            () -> scalar.encode(x, from, count, blocks));
      }
    };
  }
}
