package dev.nibble.formats.internal.simd;

import dev.nibble.formats.internal.simd.SearchGroups.Weighting;

/// {@link VectorBlockSearch}, each method once {@link Warmup} finds it compiled; {@link
/// ScalarBlockSearch} until then.
final class WarmingBlockSearch implements BlockSearch {
  private static final Warmup SCALE_AND_MIN = new Warmup();
  private static final Warmup SYMMETRIC = new Warmup();
  private static final Warmup DESCENT = new Warmup();
  private static final Warmup TABLE = new Warmup();
  private static final Warmup REQUANTIZE = new Warmup();
  private static final Warmup TABLE_CODES = new Warmup();
  private static final Warmup WEIGH = new Warmup();

  private final VectorBlockSearch vector = new VectorBlockSearch();
  private final ScalarBlockSearch scalar = new ScalarBlockSearch();

  private static long elements(SearchGroups groups) {
    return (long) groups.count * groups.size;
  }

  @Override
  public void scaleAndMin(SearchGroups groups, Trials trials) {
    if (SCALE_AND_MIN.isWarm()) {
      vector.scaleAndMin(groups, trials);
    } else {
      SCALE_AND_MIN.run(
          elements(groups) * (trials.steps() + 2),
          () -> vector.scaleAndMin(groups, trials),
          () -> scalar.scaleAndMin(groups, trials));
    }
  }

  @Override
  public void symmetric(SearchGroups groups, int most, Weighting weighting) {
    if (SYMMETRIC.isWarm()) {
      vector.symmetric(groups, most, weighting);
    } else {
      SYMMETRIC.run(
          elements(groups),
          () -> vector.symmetric(groups, most, weighting),
          () -> scalar.symmetric(groups, most, weighting));
    }
  }

  @Override
  public void descent(SearchGroups groups, int most) {
    if (DESCENT.isWarm()) {
      vector.descent(groups, most);
    } else {
      DESCENT.run(
          elements(groups), () -> vector.descent(groups, most), () -> scalar.descent(groups, most));
    }
  }

  @Override
  public void table(SearchGroups groups, Weighting weighting) {
    if (TABLE.isWarm()) {
      vector.table(groups, weighting);
    } else {
      TABLE.run(
          elements(groups),
          () -> vector.table(groups, weighting),
          () -> scalar.table(groups, weighting));
    }
  }

  @Override
  public void requantize(SearchGroups groups, float[] scales, float[] mins, int low, int high) {
    if (REQUANTIZE.isWarm()) {
      vector.requantize(groups, scales, mins, low, high);
    } else {
      REQUANTIZE.run(
          elements(groups),
          () -> vector.requantize(groups, scales, mins, low, high),
          () -> scalar.requantize(groups, scales, mins, low, high));
    }
  }

  @Override
  public void tableCodes(SearchGroups groups, float[] reciprocals) {
    if (TABLE_CODES.isWarm()) {
      vector.tableCodes(groups, reciprocals);
    } else {
      TABLE_CODES.run(
          elements(groups),
          () -> vector.tableCodes(groups, reciprocals),
          () -> scalar.tableCodes(groups, reciprocals));
    }
  }

  @Override
  public void weigh(
      float[] x,
      int from,
      int count,
      float[] importance,
      int importanceFrom,
      float meanSquare,
      float[] weights,
      int at) {
    if (WEIGH.isWarm()) {
      vector.weigh(x, from, count, importance, importanceFrom, meanSquare, weights, at);
    } else {
      WEIGH.run(
          count,
          () -> vector.weigh(x, from, count, importance, importanceFrom, meanSquare, weights, at),
          () -> scalar.weigh(x, from, count, importance, importanceFrom, meanSquare, weights, at));
    }
  }
}
