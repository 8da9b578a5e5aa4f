package dev.nibble.converter.linalg;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Outputs of the tokens themselves, by tiles of X transposed.
record SampleEnergy(MemorySegment sample, int tokens, int features) implements OutputEnergy {
  /// Tokens whose outputs are summed at once.
  private static final int TOKENS = 256;

  /// Features of a tile.
  private static final int FEATURES = 256;

  SampleEnergy {
    if (sample.byteSize() != 4L * tokens * features || tokens < 1) {
      throw new IllegalArgumentException(
          "%d bytes are not %d tokens of %d features"
              .formatted(sample.byteSize(), tokens, features));
    }
  }

  @Override
  public OutputEnergy compact() {
    if (features > tokens) {
      return this;
    }
    float[][] rows = new float[tokens][features];
    float[][] columns = new float[features][tokens];
    Tile.load(sample, features, 0, tokens, 0, features, rows);
    Tile.transpose(rows, tokens, features, columns);
    float[] gram = new float[features * features];
    float[] product = new float[features];
    for (int i = 0; i < features; i++) {
      Tile.multiply(columns[i], 0, tokens, rows, features, product);
      System.arraycopy(product, 0, gram, i * features, features);
    }
    return new GramEnergy(MemorySegment.ofArray(gram), features, tokens);
  }

  @Override
  public double[] each(float[] rows, int count) {
    double[] sums = new double[count];
    float[][] tile = new float[FEATURES][TOKENS];
    float[][] some = new float[TOKENS][FEATURES];
    float[] product = new float[TOKENS];
    float[] outputs = new float[count * TOKENS];
    for (int token = 0; token < tokens; token += TOKENS) {
      int width = Math.min(TOKENS, tokens - token);
      Arrays.fill(outputs, 0);
      for (int feature = 0; feature < features; feature += FEATURES) {
        int height = Math.min(FEATURES, features - feature);
        Tile.load(sample, features, token, width, feature, height, some);
        Tile.transpose(some, width, height, tile);
        for (int i = 0; i < count; i++) {
          Tile.multiply(rows, i * features + feature, height, tile, width, product);
          for (int t = 0; t < width; t++) {
            outputs[i * TOKENS + t] += product[t];
          }
        }
      }
      for (int i = 0; i < count; i++) {
        for (int t = 0; t < width; t++) {
          double output = outputs[i * TOKENS + t];
          sums[i] += output * output;
        }
      }
    }
    for (int i = 0; i < count; i++) {
      sums[i] /= tokens;
    }
    return sums;
  }
}
