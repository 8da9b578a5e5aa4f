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
      return;
    }
    boolean tries = ENCODE.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.encode(table, chunk, blocks);
      ENCODE.tried(start, (long) blocks * chunk.blockSize);
    } else {
      scalar.encode(table, chunk, blocks);
      ENCODE.ranScalar(start, (long) blocks * chunk.blockSize);
    }
  }

  @Override
  public void tables(float[] codebook, float[] absmax, int blocks, float[] tables) {
    if (TABLES.isWarm()) {
      vector.tables(codebook, absmax, blocks, tables);
      return;
    }
    boolean tries = TABLES.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.tables(codebook, absmax, blocks, tables);
      TABLES.tried(start, blocks);
    } else {
      scalar.tables(codebook, absmax, blocks, tables);
      TABLES.ranScalar(start, blocks);
    }
  }

  @Override
  public void round(float[] values, int count, DType type, short[] target) {
    if (ROUND.isWarm()) {
      vector.round(values, count, type, target);
      return;
    }
    boolean tries = ROUND.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.round(values, count, type, target);
      ROUND.tried(start, count);
    } else {
      scalar.round(values, count, type, target);
      ROUND.ranScalar(start, count);
    }
  }

  @Override
  public void lookup(byte[] codes, int blocks, int blockSize, float[] tables, float[] target) {
    if (LOOKUP_FLOATS.isWarm()) {
      vector.lookup(codes, blocks, blockSize, tables, target);
      return;
    }
    boolean tries = LOOKUP_FLOATS.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.lookup(codes, blocks, blockSize, tables, target);
      LOOKUP_FLOATS.tried(start, (long) blocks * blockSize);
    } else {
      scalar.lookup(codes, blocks, blockSize, tables, target);
      LOOKUP_FLOATS.ranScalar(start, (long) blocks * blockSize);
    }
  }

  @Override
  public void lookup(byte[] codes, int blocks, int blockSize, short[] tables, short[] target) {
    if (LOOKUP_SHORTS.isWarm()) {
      vector.lookup(codes, blocks, blockSize, tables, target);
      return;
    }
    boolean tries = LOOKUP_SHORTS.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.lookup(codes, blocks, blockSize, tables, target);
      LOOKUP_SHORTS.tried(start, (long) blocks * blockSize);
    } else {
      scalar.lookup(codes, blocks, blockSize, tables, target);
      LOOKUP_SHORTS.ranScalar(start, (long) blocks * blockSize);
    }
  }

  @Override
  public void sumErrors(FourBitErrors errors, float[] exact, float[] decoded, int count) {
    if (SUM_ERRORS.isWarm()) {
      vector.sumErrors(errors, exact, decoded, count);
      return;
    }
    boolean tries = SUM_ERRORS.shallTry();
    long start = System.nanoTime();
    if (tries) {
      vector.sumErrors(errors, exact, decoded, count);
      SUM_ERRORS.tried(start, count);
    } else {
      scalar.sumErrors(errors, exact, decoded, count);
      SUM_ERRORS.ranScalar(start, count);
    }
  }
}
