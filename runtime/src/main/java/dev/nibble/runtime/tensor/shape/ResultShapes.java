package dev.nibble.runtime.tensor.shape;

import static dev.nibble.runtime.tensor.shape.Shapes.require;

import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/// Shapes of the results of {@link dev.nibble.runtime.tensor.Ops}, once the operands are found to
/// fit: every method throws `IllegalArgumentException` where they do not.
public final class ResultShapes {
  private ResultShapes() {}

  public static Shape linear(Tensor x, LinearWeight weight, Optional<Tensor> bias) {
    require(
        x.rank() > 0 && x.dim(-1) == weight.inFeatures(),
        "linear of %s with a weight of [%d, %d]",
        x.shape(),
        weight.outFeatures(),
        weight.inFeatures());
    bias.ifPresent(b -> Shapes.requireVector("linear", b, weight.outFeatures()));
    return Shapes.withLast(x, weight.outFeatures());
  }

  public static Shape embedding(LinearWeight table, int[] ids) {
    for (int id : ids) {
      require(
          id >= 0 && id < table.outFeatures(),
          "embedding of id %d in a table of [%d, %d]",
          id,
          table.outFeatures(),
          table.inFeatures());
    }
    return Shape.of(ids.length, table.inFeatures());
  }

  public static Shape attention(Tensor q, Tensor k, Tensor v) {
    boolean fits =
        q.rank() == 4
            && k.rank() == 4
            && v.rank() == 4
            && k.dim(0) == q.dim(0)
            && v.dim(0) == q.dim(0)
            && v.dim(1) == k.dim(1)
            && v.dim(2) == k.dim(2)
            && k.dim(3) == q.dim(3)
            && k.dim(2) > 0
            && q.dim(2) % k.dim(2) == 0;
    require(
        fits,
        "attention of q %s, k %s and v %s: expected [B, Tq, H, D], [B, Tk, Hkv, D] and"
            + " [B, Tk, Hkv, Dv] with H a multiple of Hkv",
        q.shape(),
        k.shape(),
        v.shape());
    return Shapes.withLast(q, v.dim(3));
  }

  public static Shape conv2d(
      Tensor x, LinearWeight weight, Optional<Tensor> bias, Conv2d geometry) {
    Shapes.requireRank("conv2d", x, 4, "[B, H, W, C]");
    int outHeight = geometry.outHeight(x.dim(1));
    int outWidth = geometry.outWidth(x.dim(2));
    require(
        weight.inFeatures() == geometry.kernel() * geometry.kernel() * x.dim(3)
            && outHeight > 0
            && outWidth > 0,
        "conv2d of %s with a weight of [%d, %d] and %s",
        x.shape(),
        weight.outFeatures(),
        weight.inFeatures(),
        geometry);
    bias.ifPresent(b -> Shapes.requireVector("conv2d", b, weight.outFeatures()));
    return Shape.of(x.dim(0), outHeight, outWidth, weight.outFeatures());
  }

  public static Shape rmsNorm(Tensor x, Optional<Tensor> weight) {
    Shapes.requireAxes("rmsNorm", x);
    weight.ifPresent(w -> Shapes.requireVector("rmsNorm", w, x.dim(-1)));
    return x.shape();
  }

  public static Shape groupNorm(Tensor x, int groups, Tensor weight, Tensor bias) {
    Shapes.requireRank("groupNorm", x, 4, "[B, H, W, C]");
    require(
        groups > 0 && x.dim(3) % groups == 0, "groupNorm of %s in %d groups", x.shape(), groups);
    Shapes.requireVector("groupNorm", weight, x.dim(3));
    Shapes.requireVector("groupNorm", bias, x.dim(3));
    return x.shape();
  }

  public static Shape linearCombination(float[] coefficients, List<Tensor> terms) {
    require(
        !terms.isEmpty() && coefficients.length == terms.size(),
        "linearCombination of %d terms with %d coefficients",
        terms.size(),
        coefficients.length);
    for (Tensor term : terms) {
      Shapes.requireSame("linearCombination", terms.getFirst(), term);
    }
    return terms.getFirst().shape();
  }

  public static Shape rope(Tensor x, RopeTable table) {
    Shapes.requireRank("rope", x, 4, "[B, T, H, D]");
    Tensor cos = table.cos();
    int half = x.dim(3) / 2;
    Shape perToken = Shape.of(x.dim(1), half);
    Shape perItem = Shape.of(x.dim(0), x.dim(1), half);
    require(
        x.dim(3) % 2 == 0
            && cos.shape().equals(table.sin().shape())
            && (cos.shape().equals(perToken) || cos.shape().equals(perItem)),
        "rope of %s with cosines of %s and sines of %s",
        x.shape(),
        cos.shape(),
        table.sin().shape());
    return x.shape();
  }

  public static Shape concat(int axis, List<Tensor> parts) {
    require(!parts.isEmpty(), "concat of nothing");
    Tensor first = parts.getFirst();
    Shapes.requireAxis("concat", first, axis);
    long size = 0;
    for (Tensor part : parts) {
      require(
          part.rank() == first.rank()
              && Shapes.with(part, axis, 0).equals(Shapes.with(first, axis, 0)),
          "concat along axis %d of %s and %s",
          axis,
          first.shape(),
          part.shape());
      size += part.dim(axis);
    }
    return Shapes.with(first, axis, size);
  }

  public static Shape slice(Tensor x, int axis, int begin, int end) {
    Shapes.requireAxis("slice", x, axis);
    require(
        0 <= begin && begin <= end && end <= x.dim(axis),
        "slice [%d, %d) along axis %d of %s",
        begin,
        end,
        axis,
        x.shape());
    return Shapes.with(x, axis, (long) end - begin);
  }

  public static Shape permute(Tensor x, int... axes) {
    BitSet seen = new BitSet();
    long[] dims = new long[axes.length];
    for (int i = 0; i < axes.length; i++) {
      require(
          axes.length == x.rank() && axes[i] >= 0 && axes[i] < x.rank() && !seen.get(axes[i]),
          "permute of %s by axes %s",
          x.shape(),
          Arrays.toString(axes));
      seen.set(axes[i]);
      dims[i] = x.dim(axes[i]);
    }
    require(axes.length == x.rank(), "permute of %s without axes", x.shape());
    return Shape.of(dims);
  }

  public static Shape upsampleNearest2x(Tensor x) {
    Shapes.requireRank("upsampleNearest2x", x, 4, "[B, H, W, C]");
    return Shape.of(x.dim(0), 2L * x.dim(1), 2L * x.dim(2), x.dim(3));
  }

  /// Of a reduction over the last axis.
  public static Shape rows(String operation, Tensor x) {
    Shapes.requireAxes(operation, x);
    return Shapes.withLast(x, 1);
  }

  /// Whether x is `[B, T, D]` and row `[B, 1, D]`: what fused kernels take.
  public static boolean isRowOfItems(Tensor x, Tensor row) {
    return x.rank() == 3
        && row.rank() == 3
        && row.dim(0) == x.dim(0)
        && row.dim(1) == 1
        && row.dim(2) == x.dim(2);
  }

  /// Sizes of an {@link dev.nibble.runtime.tensor.Ops#addGram}, which has no result.
  public static void gram(Tensor sum, int begin, Tensor x) {
    require(
        sum.rank() == 2
            && x.rank() > 0
            && sum.dim(1) == x.dim(-1)
            && begin >= 0
            && begin % Ops.GRAM_ROWS == 0
            && begin + sum.dim(0) <= sum.dim(1),
        "rows %d to %d of the Gram matrix of %s, in a sum of %s",
        begin,
        begin + (long) (sum.rank() == 2 ? sum.dim(0) : 0),
        x.shape(),
        sum.shape());
  }

  public static Shape featureSums(Tensor x) {
    Shapes.requireAxes("featureSums", x);
    return Shape.of(3, x.dim(-1));
  }
}
