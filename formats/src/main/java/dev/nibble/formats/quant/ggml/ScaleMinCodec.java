package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockSearch.Trials;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import java.util.Optional;

/// Super-blocks whose groups have a scale and a minimum: `x = d * sc * q - dmin * m`, with unsigned
/// `sc` and `m`. The codes are found anew for the scale and minimum that a reader sees; a group
/// whose scale came out as zero keeps the codes of the search.
abstract sealed class ScaleMinCodec extends SuperBlockCodec permits Q2KCodec, Q4KCodec, Q5KCodec {
  private final int mostScale;
  private final Trials plain;
  private final Trials weighted;
  private final float meanFactor;

  /// @param mostScale largest `sc` and `m`
  /// @param plain how to search without importance
  /// @param weighted how to search with importance
  /// @param meanFactor times the mean square in the weights, with importance
  ScaleMinCodec(
      GgmlType type,
      int groupSize,
      int mostScale,
      Trials plain,
      Trials weighted,
      float meanFactor,
      GgmlKernels.Decode decode) {
    super(type, groupSize, decode);
    this.mostScale = mostScale;
    this.plain = plain;
    this.weighted = weighted;
    this.meanFactor = meanFactor;
  }

  /// Byte of `d` in a block; `dmin` follows.
  abstract int scaleAt();

  /// Stores the small scales and minima of a block that begins at byte `at`.
  abstract void storeScales(int[] scales, int[] mins, byte[] bytes, int at);

  /// Stores the 256 codes from `from` on in a block that begins at byte `at`.
  abstract void storeCodes(byte[] codes, int from, byte[] bytes, int at);

  @Override
  final void encode(Batch batch, Optional<float[]> importance) {
    Trials trials = importance.isPresent() ? weighted : plain;
    importance.ifPresent(weights -> weigh(batch, weights, meanFactor));
    search.scaleAndMin(batch.groups, trials);
    int[] scales = new int[batch.groupsOfBlock];
    int[] mins = new int[batch.groupsOfBlock];
    for (int block = 0; block < batch.blocks; block++) {
      int first = block * batch.groupsOfBlock;
      int at = block * batch.blockBytes;
      float d = shrink(batch, first, batch.groups.scales, importance.isPresent(), scales);
      float dMin = shrink(batch, first, batch.groups.mins, importance.isPresent(), mins);
      d = BlockBytes.setHalf(batch.bytes, at + scaleAt(), d);
      dMin = BlockBytes.setHalf(batch.bytes, at + scaleAt() + 2, dMin);
      storeScales(scales, mins, batch.bytes, at);
      for (int i = 0; i < batch.groupsOfBlock; i++) {
        batch.scales[first + i] = d * scales[i];
        batch.mins[first + i] = dMin * mins[i];
      }
    }
    search.requantize(batch.groups, batch.scales, batch.mins, 0, trials.most());
    for (int block = 0; block < batch.blocks; block++) {
      storeCodes(batch.groups.codes, block * SIZE, batch.bytes, block * batch.blockBytes);
    }
  }

  /// Small integers for the scales, or minima, of a block's groups.
  ///
  /// @return what they are to be multiplied by
  private float shrink(Batch batch, int first, float[] values, boolean fit, int[] codes) {
    int count = batch.groupsOfBlock;
    if (fit) {
      return ScaleFit.fit(values, first, count, mostScale, batch.groups.weightSums, codes);
    }
    float max = 0;
    for (int i = 0; i < count; i++) {
      max = values[first + i] > max ? values[first + i] : max;
    }
    float inverse = max > 0 ? mostScale / max : 0;
    for (int i = 0; i < count; i++) {
      codes[i] = Math.min(mostScale, GgmlMath.nearest(inverse * values[first + i]));
    }
    return max / mostScale;
  }
}
