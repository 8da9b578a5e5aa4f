package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockSearch;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.SearchGroups;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// The frame of types with super-blocks: 256 elements with a half scale, in groups of 16 or 32 with
/// a small integer scale each. Searches for the scales of some super-blocks at once.
abstract sealed class SuperBlockCodec implements GgmlCodec
    permits ScaleMinCodec, Q3KCodec, Q6KCodec, Iq4XsCodec {
  /// Elements of a super-block.
  static final int SIZE = 256;

  private static final int BATCH = 16;

  private final GgmlType type;
  private final int groupSize;
  private final GgmlKernels.Decode decode;
  final BlockSearch search = BlockSearch.best();

  /// @param groupSize elements that share a small scale
  SuperBlockCodec(GgmlType type, int groupSize, GgmlKernels.Decode decode) {
    this.type = type;
    this.groupSize = groupSize;
    this.decode = decode;
  }

  /// Super-blocks at hand, and scratch.
  static final class Batch {
    final SearchGroups groups;

    /// Groups of a super-block.
    final int groupsOfBlock;

    final int blockBytes;

    /// What a reader multiplies the codes of each group by, and subtracts.
    final float[] scales;

    final float[] mins;

    /// Encoded blocks.
    final byte[] bytes;

    float[] x = {};
    int from;
    int blocks;

    /// Where in the importance of the row the first element lies.
    int column;

    Batch(int groupSize, int blockBytes, int capacity) {
      this.groupsOfBlock = SIZE / groupSize;
      this.blockBytes = blockBytes;
      this.groups = new SearchGroups(groupSize, capacity * groupsOfBlock);
      this.scales = new float[capacity * groupsOfBlock];
      this.mins = new float[capacity * groupsOfBlock];
      this.bytes = new byte[capacity * blockBytes];
    }
  }

  /// Encodes the batch to its `bytes`.
  abstract void encode(Batch batch, Optional<float[]> importance);

  @Override
  public final GgmlType type() {
    return type;
  }

  @Override
  public final void encode(
      float[] x, int from, int count, Optional<float[]> importance, MemorySegment blocks, long at) {
    int total = count / SIZE;
    int bytes = type.blockBytes();
    Batch batch = new Batch(groupSize, bytes, Math.min(BATCH, total));
    batch.x = x;
    for (int first = 0; first < total; first += BATCH) {
      batch.blocks = Math.min(BATCH, total - first);
      batch.column = first * SIZE;
      batch.from = from + batch.column;
      batch.groups.at(x, batch.from, batch.blocks * batch.groupsOfBlock);
      encode(batch, importance);
      MemorySegment.copy(
          batch.bytes,
          0,
          blocks,
          ValueLayout.JAVA_BYTE,
          at + (long) first * bytes,
          batch.blocks * bytes);
    }
  }

  /// Sets the weights of the batch: importance times the root of `factor` times the super-block's
  /// mean square plus the element's square.
  final void weigh(Batch batch, float[] importance, float factor) {
    for (int block = 0; block < batch.blocks; block++) {
      int at = block * SIZE;
      int from = batch.from + at;
      float meanSquare = factor * GgmlMath.sumSquares(batch.x, from, SIZE) / SIZE;
      search.weigh(
          batch.x, from, SIZE, importance, batch.column + at, meanSquare, batch.groups.weights, at);
    }
  }

  @Override
  public final void decode(
      MemorySegment blocks, long at, float[] x, int from, int count, byte[] scratch) {
    Pieces.decode(type(), decode, blocks, at, x, from, count, scratch);
  }
}
