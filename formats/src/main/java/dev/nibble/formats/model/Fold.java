package dev.nibble.formats.model;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;

/// Where an input scale s goes without a trace: layers that compute with `W·diag(s)` want `x/s`,
/// and something before them can be edited so that it yields just that. Exact but for rounding, if
/// all {@link #consumers} take the same s.
///
/// Names are module paths as the file has them; a producer may itself be a layer with an input
/// scale of its own.
public sealed interface Fold {
  /// All layers that take the input, in the model's order.
  List<String> consumers();

  /// The scales times a power of two that suits the fold: codes stay the same, and what absorbs
  /// them loses least when it is rounded to 16 bits. {@link #edits} and the weights take these.
  default float[] fitted(float[] scales) {
    return scales;
  }

  /// The edits that divide the input by the scales.
  ///
  /// @param scales `[in]` of the consumers, finite and above 0
  /// @param names all tensors of the file
  List<RowEdit> edits(float[] scales, Set<String> names);

  /// The weight of a norm, which multiplies each feature; its bias too if it has one. Whatever
  /// multiplies features after it (`1 + scale` of a modulation without shift) doesn't matter.
  ///
  /// @param norm module of the norm
  record NormWeight(String norm, List<String> consumers) implements Fold {
    public NormWeight {
      consumers = List.copyOf(consumers);
    }

    @Override
    public List<RowEdit> edits(float[] scales, Set<String> names) {
      return divided(norm, 0, scales, names);
    }
  }

  /// Output rows of linear layers, where each feature of the input is linear in one output: a value
  /// through an attention, the unactivated half of a gated feed-forward.
  ///
  /// @param producers several where an attention mixes the values of several streams
  record LinearRows(List<String> producers, List<String> consumers) implements Fold {
    public LinearRows {
      producers = List.copyOf(producers);
      consumers = List.copyOf(consumers);
    }

    @Override
    public List<RowEdit> edits(float[] scales, Set<String> names) {
      List<RowEdit> edits = new ArrayList<>();
      for (String producer : producers) {
        edits.addAll(divided(producer, 0, scales, names));
      }
      return edits;
    }
  }

  /// Rows of a linear layer, with bias, that yields shift and scale of `x̂·(1 + scale) + shift`:
  /// the rows of scale become `row/s` with bias `b/s + 1/s − 1`, those of shift `row/s` and `b/s`.
  ///
  /// @param producer module of the layer, whose outputs are chunks as wide as the input
  /// @param scaleChunk which of them is scale
  /// @param shiftChunk which of them is shift, if there is one
  record Modulation(String producer, int scaleChunk, OptionalInt shiftChunk, List<String> consumers)
      implements Fold {
    public Modulation {
      consumers = List.copyOf(consumers);
    }

    /// At most 1: a scale above would leave `1 + scale` small, a difference of numbers near 1 that
    /// were rounded before.
    @Override
    public float[] fitted(float[] scales) {
      float largest = 0;
      for (float scale : scales) {
        largest = Math.max(largest, scale);
      }
      float[] fitted = scales.clone();
      int exponent = largest == 0 ? 0 : -Math.getExponent(largest) - 1;
      for (int i = 0; i < fitted.length; i++) {
        fitted[i] = Math.scalb(scales[i], exponent);
      }
      return fitted;
    }

    @Override
    public List<RowEdit> edits(float[] scales, Set<String> names) {
      long first = (long) scaleChunk * scales.length;
      float[] factors = inverse(scales);
      float[] addends = new float[scales.length];
      for (int i = 0; i < addends.length; i++) {
        addends[i] = (float) (1.0 / scales[i] - 1);
      }
      List<RowEdit> edits = new ArrayList<>();
      edits.add(new RowEdit(producer + NameRules.WEIGHT, first, factors, new float[0]));
      edits.add(new RowEdit(producer + NameRules.BIAS, first, factors, addends));
      shiftChunk.ifPresent(
          chunk -> edits.addAll(divided(producer, (long) chunk * scales.length, scales, names)));
      return edits;
    }
  }

  private static List<RowEdit> divided(
      String module, long firstRow, float[] scales, Set<String> names) {
    float[] factors = inverse(scales);
    return Stream.of(NameRules.WEIGHT, NameRules.BIAS)
        .map(part -> module + part)
        .filter(names::contains)
        .map(tensor -> new RowEdit(tensor, firstRow, factors, new float[0]))
        .toList();
  }

  private static float[] inverse(float[] scales) {
    float[] inverse = new float[scales.length];
    for (int i = 0; i < inverse.length; i++) {
      inverse[i] = 1 / scales[i];
    }
    return inverse;
  }
}
