package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;

/// {@link VectorFourBit}, each method once {@link Warmup} finds it compiled; {@link ScalarFourBit}
/// until then.
final class WarmingFourBit implements FourBitKernel {
  private static final Warmup ENCODE = new Warmup();
  private static final Warmup TABLES = new Warmup();
  private static final Warmup ROUND = new Warmup();
  private static final Warmup LOOKUP_FLOATS = new Warmup();
  private static final Warmup LOOKUP_SHORTS = new Warmup();
  private static final Warmup SUM_ERRORS = new Warmup();

  private final VectorFourBit vector = new VectorFourBit();
  private final ScalarFourBit scalar = new ScalarFourBit();

  @Override
  public void encode(FourBitTable table, FourBitChunk chunk, int blocks) {
    if (ENCODE.isWarm()) {
      vector.encode(table, chunk, blocks);
    } else {
      ENCODE.run(
          (long) blocks * chunk.blockSize,
          () -> vector.encode(table, chunk, blocks),
          () -> scalar.encode(table, chunk, blocks));
    }
  }

  @Override
  public void tables(float[] codebook, float[] absmax, int blocks, float[] tables) {
    if (TABLES.isWarm()) {
      vector.tables(codebook, absmax, blocks, tables);
    } else {
      TABLES.run(
          blocks,
          () -> vector.tables(codebook, absmax, blocks, tables),
          () -> scalar.tables(codebook, absmax, blocks, tables));
    }
  }

  @Override
  public void round(float[] values, int count, DType type, short[] target) {
    if (ROUND.isWarm()) {
      vector.round(values, count, type, target);
    } else {
      ROUND.run(
          count,
          () -> vector.round(values, count, type, target),
          () -> scalar.round(values, count, type, target));
    }
  }

  @Override
  public void lookup(byte[] codes, int blocks, int blockSize, float[] tables, float[] target) {
    if (LOOKUP_FLOATS.isWarm()) {
      vector.lookup(codes, blocks, blockSize, tables, target);
    } else {
      LOOKUP_FLOATS.run(
          (long) blocks * blockSize,
          () -> vector.lookup(codes, blocks, blockSize, tables, target),
          () -> scalar.lookup(codes, blocks, blockSize, tables, target));
    }
  }

  @Override
  public void lookup(byte[] codes, int blocks, int blockSize, short[] tables, short[] target) {
    if (LOOKUP_SHORTS.isWarm()) {
      vector.lookup(codes, blocks, blockSize, tables, target);
    } else {
      LOOKUP_SHORTS.run(
          (long) blocks * blockSize,
          () -> vector.lookup(codes, blocks, blockSize, tables, target),
          () -> scalar.lookup(codes, blocks, blockSize, tables, target));
    }
  }

  @Override
  public void sumErrors(FourBitErrors errors, float[] exact, float[] decoded, int count) {
    if (SUM_ERRORS.isWarm()) {
      vector.sumErrors(errors, exact, decoded, count);
    } else {
      SUM_ERRORS.run(
          count,
          () -> vector.sumErrors(errors, exact, decoded, count),
          () -> scalar.sumErrors(errors, exact, decoded, count));
    }
  }
}
