package dev.nibble.converter;

import dev.nibble.formats.DType;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.StoredTensor;
import java.util.List;
import java.util.Optional;

/// What happens to one tensor of the source, and why.
public sealed interface TensorPlan {
  SourceTensor source();

  /// Why, in a few words: `linear layer`, `--skip img_mod`, `norm`.
  String reason();

  /// Exact bytes in the output; of a {@link StoredTensor.Document}, its upper bound.
  long bytesOut();

  /// What the output holds: a scheme's id, `cast:BF16` or `keep`.
  String scheme();

  /// A tensor in a float type: copied if it has it already, else rounded or decoded to it.
  static TensorPlan in(DType target, SourceTensor tensor, String reason) {
    return tensor.dtype() == target && !tensor.quantized()
        ? new Keep(tensor, reason)
        : new Cast(tensor, target, reason);
  }

  /// Copied as it is.
  record Keep(SourceTensor source, String reason) implements TensorPlan {
    @Override
    public long bytesOut() {
      return source.byteSize();
    }

    @Override
    public String scheme() {
      return "keep";
    }
  }

  /// Rounded to another float type, or decoded to one.
  record Cast(SourceTensor source, DType target, String reason) implements TensorPlan {
    @Override
    public long bytesOut() {
      return target.byteSize(source.shape().elements());
    }

    @Override
    public String scheme() {
      return "cast:" + target;
    }
  }

  /// Kept in its type with some of its rows multiplied, so that it yields what layers with scaled
  /// weights want.
  record Rescale(SourceTensor source, DType target, String reason) implements TensorPlan {
    @Override
    public long bytesOut() {
      return target.byteSize(source.shape().elements());
    }

    @Override
    public String scheme() {
      return "scaled:" + target;
    }
  }

  /// Quantized, into one or more stored tensors.
  ///
  /// @param calibrated how statistics decide its codes; empty: each is rounded to nearest
  record Quantize(
      SourceTensor source,
      QuantScheme quantScheme,
      QuantStorage storage,
      List<StoredTensor> stored,
      String reason,
      Optional<Calibrated> calibrated)
      implements TensorPlan {
    /// Rounded to nearest.
    public Quantize(
        SourceTensor source,
        QuantScheme quantScheme,
        QuantStorage storage,
        List<StoredTensor> stored,
        String reason) {
      this(source, quantScheme, storage, stored, reason, Optional.empty());
    }

    @Override
    public long bytesOut() {
      long sum = 0;
      for (StoredTensor tensor : stored) {
        sum +=
            switch (tensor.content()) {
              case StoredTensor.PartContent part -> part.dtype().byteSize(part.shape().elements());
              case StoredTensor.Constant constant -> constant.bytes().size();
              case StoredTensor.Document document -> document.maxLength();
            };
      }
      return sum;
    }

    @Override
    public String scheme() {
      return quantScheme.id();
    }
  }
}
