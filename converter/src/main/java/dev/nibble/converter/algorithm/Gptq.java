package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.InverseCholesky;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.quant.GridEncoder;

/// GPTQ (Frantar et al., arXiv:2210.17323): rounds a weight column by column and passes each error
/// on to the columns that are still to be rounded, in the way that changes the layer's output least
/// over the inputs of the calibration. Works on any scheme's grid.
///
/// With `H⁻¹ = UᵀU`, of the damped Hessian in the order of rounding, column j has the error `e =
/// (w[j] - q[j]) / U[j, j]`, and the columns behind it become `w - e · U[j, :]`. Inside a block of
/// {@link InverseCholesky#BLOCK} columns this is done at once, for the columns behind the block as
/// one product when the block is done.
public final class Gptq implements RowQuantizer {
  private static final int BLOCK = InverseCholesky.BLOCK;

  /// Rows that are worked on at once: their values fit the second cache, and a panel of the factor
  /// that was read serves all of them.
  private static final int BAND = 96;

  private final GptqFactor factor;
  private final InverseCholesky inverse;
  private final int columns;
  private final boolean hasStaticGroups;

  public Gptq(GptqFactor factor) {
    this.factor = factor;
    this.inverse = factor.inverse();
    this.columns = factor.features();
    this.hasStaticGroups = factor.options().staticGroups();
  }

  /// Groups that follow the order of rounding must be stored.
  @Override
  public void prepare(GridEncoder grid) {
    boolean reordered =
        factor.options().actOrder() && !hasStaticGroups && grid.groupSize() < columns;
    if (reordered && !grid.regroup(factor.groupIndex(grid.groupSize()))) {
      throw new NibbleException(
          "the scheme cannot store which group each input belongs to: take act-order with static groups");
    }
  }

  @Override
  public void quantize(long firstRow, int rows, float[] values, GridEncoder grid, byte[] codes) {
    Band band = new Band(Math.min(rows, BAND), grid);
    for (int row = 0; row < rows; row += BAND) {
      band.quantize(firstRow + row, Math.min(BAND, rows - row), row * columns, values, codes);
    }
  }

  /// Working arrays for some rows.
  private final class Band {
    private final ScaleFit fit;
    private final int groupSize;
    private final int groups;
    private final int stride = inverse.stride();

    /// Rows in the order of rounding, `[rows, stride]`.
    private final float[] w;

    /// Negated errors of a block, `[rows, BLOCK]`.
    private final float[] errors;

    /// Grids by row: of all groups, or of the group at hand.
    private final GridEncoder.Grid[] grids;

    /// The group of each place in the order of rounding.
    private final int[] groupOf = new int[columns];

    Band(int rows, GridEncoder grid) {
      this.fit = new ScaleFit(grid, factor.options().searchScales());
      this.groupSize = grid.groupSize();
      this.groups = columns / groupSize;
      this.w = new float[rows * stride];
      this.errors = new float[rows * BLOCK];
      this.grids = new GridEncoder.Grid[hasStaticGroups ? rows * groups : rows];
      for (int place = 0; place < columns; place++) {
        groupOf[place] = (hasStaticGroups ? factor.input(place) : place) / groupSize;
      }
    }

    void quantize(long firstRow, int rows, int at, float[] values, byte[] codes) {
      for (int row = 0; row < rows; row++) {
        load(firstRow + row, row, values, at + row * columns);
      }
      for (int block = 0; block < inverse.blocks(); block++) {
        for (int row = 0; row < rows; row++) {
          roundBlock(block, firstRow + row, row, values, codes, at + row * columns);
        }
        inverse.addRest(block, errors, rows, w);
      }
    }

    private void load(long number, int row, float[] values, int at) {
      for (int place = 0; place < columns; place++) {
        int input = factor.input(place);
        float value = factor.isDead(input) ? 0 : values[at + input];
        values[at + input] = value;
        w[row * stride + place] = value;
      }
      for (int group = 0; hasStaticGroups && group < groups; group++) {
        grids[row * groups + group] =
            fit.fit(number * groups + group, values, at + group * groupSize);
      }
    }

    /// Rounds the columns of a block in one row.
    private void roundBlock(int block, long number, int row, float[] values, byte[] codes, int at) {
      int height = inverse.height(block);
      float[] u = inverse.diagonalBlock(block);
      int first = row * stride + block * BLOCK;
      for (int j = 0; j < height; j++) {
        int place = block * BLOCK + j;
        int input = factor.input(place);
        GridEncoder.Grid group = group(number, row, place);
        float value = w[first + j];
        int code = group.nearest(value);
        float decoded = group.value(code);
        codes[at + input] = (byte) code;
        values[at + input] = decoded;
        float error = (decoded - value) / u[j * height + j];
        errors[row * BLOCK + j] = error;
        pass(error, u, j * height, j + 1, height, first);
      }
    }

    private GridEncoder.Grid group(long number, int row, int place) {
      int group = groupOf[place];
      if (hasStaticGroups) {
        return grids[row * groups + group];
      }
      if (place == 0 || group != groupOf[place - 1]) {
        grids[row] = fit.fit(number * groups + group, w, row * stride + place);
      }
      return grids[row];
    }

    /// Adds a multiple of a row of U to the rest of the block.
    private void pass(float error, float[] u, int uAt, int from, int to, int wAt) {
      for (int i = from; i < to; i++) {
        w[wAt + i] = Math.fma(error, u[uAt + i], w[wAt + i]);
      }
    }
  }
}
