package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.Products;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Fp8Type;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.MemorySegment;

/// What a layer loses when its inputs are rounded too, each token with a scale of its own: measured
/// on sampled tokens.
final class InputTrial implements ScaleSearch.Trial {
  /// Most tokens looked at, spread evenly over the sample.
  private static final int TOKENS = 512;

  private final SampledRows rows;
  private final QuantScheme inputs;
  private final int features;
  private final int tokens;
  private final float[] sample;
  private final float[] outputs;

  InputTrial(CalibratedLayer layer, ActivationType type, int maxRows) {
    this.rows = SampledRows.of(layer, maxRows);
    this.inputs = scheme(type);
    this.features = layer.input().features();
    this.tokens = Math.min(TOKENS, layer.input().sampleRows());
    this.sample = new float[tokens * features];
    for (int i = 0; i < tokens; i++) {
      long token = (long) i * layer.input().sampleRows() / tokens;
      MemorySegment.copy(
          layer.input().sample(),
          LittleEndian.FLOAT,
          4 * token * features,
          sample,
          i * features,
          features);
    }
    this.outputs = Products.transposed(rows.values(), rows.count(), sample, tokens, features);
  }

  /// A token is rounded as a row of a weight is.
  static QuantScheme scheme(ActivationType type) {
    return switch (type) {
      case INT8 -> new AbsmaxInt8(0);
      case FP8_E4M3 -> new Fp8(Fp8Type.E4M3, Fp8.Scaling.ROW, DType.F32);
    };
  }

  @Override
  public double loss(float[] scales) {
    float[] x = sample.clone();
    for (int i = 0; i < x.length; i++) {
      x[i] /= scales[i % features];
    }
    RoundTrip.apply(inputs, tokens, features, x);
    float[] rounded = Products.transposed(rows.rounded(scales), rows.count(), x, tokens, features);
    double sum = 0;
    for (int i = 0; i < outputs.length; i++) {
      double error = (double) rounded[i] - outputs[i];
      sum += error * error;
    }
    return sum / outputs.length;
  }

  /// Mean square of an output.
  double power() {
    double sum = 0;
    for (float output : outputs) {
      sum += (double) output * output;
    }
    return sum / outputs.length;
  }

  /// The error of the outputs as a part of them: 0.01 is one percent, or 40 dB. Outputs of nothing
  /// but zeros have none.
  double relativeError(float[] scales) {
    double loss = loss(scales);
    return loss == 0 ? 0 : Math.sqrt(loss / power());
  }
}
