package dev.nibble.runtime.cuda.driver;

/// How many threads run a kernel, and how much dynamic shared memory each block has.
///
/// @param gridX blocks along x, at most 2^31 - 1
/// @param gridY blocks along y, at most 65,535
/// @param gridZ blocks along z, at most 65,535
/// @param blockX threads of a block along x
/// @param blockY threads of a block along y
/// @param blockZ threads of a block along z; x·y·z at most 1,024
/// @param sharedBytes dynamic shared memory a block; above 48 KiB see {@link Kernel#allowShared}
public record LaunchShape(
    int gridX, int gridY, int gridZ, int blockX, int blockY, int blockZ, int sharedBytes) {
  public LaunchShape {
    boolean fits =
        gridX > 0
            && gridY > 0
            && gridY <= 0xffff
            && gridZ > 0
            && gridZ <= 0xffff
            && blockX > 0
            && blockY > 0
            && blockZ > 0
            && (long) blockX * blockY * blockZ <= 1024
            && sharedBytes >= 0;
    if (!fits) {
      throw new IllegalArgumentException(
          "no device runs <<<(%d, %d, %d), (%d, %d, %d), %d>>>"
              .formatted(gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes));
    }
  }

  /// A row of blocks.
  public static LaunchShape of(long blocks, int threads) {
    return new LaunchShape(Math.toIntExact(blocks), 1, 1, threads, 1, 1, 0);
  }

  /// A rectangle of blocks.
  public static LaunchShape of(long blocksX, long blocksY, int threads) {
    return new LaunchShape(Math.toIntExact(blocksX), Math.toIntExact(blocksY), 1, threads, 1, 1, 0);
  }

  /// A box of blocks.
  public static LaunchShape of(long blocksX, long blocksY, long blocksZ, int threads) {
    return new LaunchShape(
        Math.toIntExact(blocksX),
        Math.toIntExact(blocksY),
        Math.toIntExact(blocksZ),
        threads,
        1,
        1,
        0);
  }

  /// Enough blocks of `threads` for `elements`, each thread taking `perThread` of them.
  public static LaunchShape covering(long elements, int threads, int perThread) {
    return of(Math.ceilDiv(elements, (long) threads * perThread), threads);
  }

  /// The same threads with dynamic shared memory.
  public LaunchShape withShared(int bytes) {
    return new LaunchShape(gridX, gridY, gridZ, blockX, blockY, blockZ, bytes);
  }

  @Override
  public String toString() {
    return "<<<(%d, %d, %d), (%d, %d, %d), %d>>>"
        .formatted(gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes);
  }
}
