package dev.nibble.converter.linalg;

import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;

/// Squared outputs of the tokens themselves.
record SampleEnergy(MemorySegment sample, int tokens, int features) implements OutputEnergy {
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
    // The Gram matrix: products of the features over the tokens.
    float[] x = new float[tokens * features];
    MemorySegment.copy(sample, LittleEndian.FLOAT, 0, x, 0, x.length);
    float[] transposed = new float[x.length];
    for (int token = 0; token < tokens; token++) {
      for (int j = 0; j < features; j++) {
        transposed[j * tokens + token] = x[token * features + j];
      }
    }
    float[] gram = Products.transposed(transposed, features, transposed, features, tokens);
    return new GramEnergy(MemorySegment.ofArray(gram), features, tokens);
  }

  @Override
  public double[] each(float[] rows, int count) {
    double[] sums = new double[count];
    Strips strips = new Strips(rows, count, features);
    for (int token = 0; token < tokens; token += strips.width()) {
      int width = Math.min(strips.width(), tokens - token);
      strips.clear();
      strips.addColumns(sample, token, width);
      for (int i = 0; i < count; i++) {
        for (int t = 0; t < width; t++) {
          double output = strips.products()[i * strips.width() + t];
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
