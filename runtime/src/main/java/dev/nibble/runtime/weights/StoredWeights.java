package dev.nibble.runtime.weights;

import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.model.NameMap;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.model.RenamedTensor;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.runtime.tensor.WeightSource;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/// The tensors of an open model by the names that the runtime's models know, those of diffusers'
/// classes. A file with the original names (most GGUF files) is seen through the table of its
/// family: a tensor of ours may then be some rows of one of the file's, such as the queries of a
/// fused attention. Nothing is copied. Borrows the model.
final class StoredWeights {
  private final OpenModel model;
  private final Map<String, Stored> tensors;

  /// Rows of a tensor of the file.
  ///
  /// @param first index of the first element
  /// @param shape of the rows
  record Stored(LogicalTensor tensor, long first, Shape shape) {
    /// Bytes of the rows as the file holds them.
    long bytes() {
      long all = of(tensor).elements();
      return all == 0 ? 0 : (long) ((double) shape.elements() / all * StoredWeights.bytes(tensor));
    }
  }

  /// @param path in messages
  /// @throws UnsupportedException if original names can't be seen as the runtime's
  StoredWeights(Path path, OpenModel model) {
    this.model = model;
    Recognition known = ModelFamilies.recognise(model.tensors().keySet());
    Optional<NameMap> names =
        known.dialect() == Dialect.ORIGINAL || !known.prefix().isEmpty()
            ? NameMap.of(known.family())
            : Optional.empty();
    this.tensors = names.isPresent() ? renamed(path, names.get()) : asStored();
  }

  private Map<String, Stored> asStored() {
    Map<String, Stored> result = new LinkedHashMap<>();
    model.tensors().forEach((name, tensor) -> result.put(name, new Stored(tensor, 0, of(tensor))));
    return result;
  }

  private Map<String, Stored> renamed(Path path, NameMap names) {
    SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
    model.tensors().forEach((name, tensor) -> shapes.put(name, of(tensor)));
    Map<String, Stored> result = new LinkedHashMap<>();
    for (RenamedTensor tensor : names.rename(path.toString(), shapes, Dialect.LIBRARY).tensors()) {
      if (tensor.pieces().size() > 1 || tensor.transposed()) {
        throw new UnsupportedException(
            path.toString(),
            "its '"
                + Text.printable(tensor.pieces().getFirst().source())
                + "' can't be used where it lies: convert the file with quantize --names diffusers");
      }
      result.put(tensor.name(), stored(tensor));
    }
    return result;
  }

  private Stored stored(RenamedTensor renamed) {
    RenamedTensor.Piece piece = renamed.pieces().getFirst();
    LogicalTensor tensor = model.tensors().get(piece.source());
    if (tensor == null) {
      throw new AssertionError(piece);
    }
    long row = piece.rows() == 0 ? 0 : renamed.shape().elements() / piece.rows();
    return new Stored(tensor, piece.firstRow() * row, renamed.shape());
  }

  private static Shape of(LogicalTensor tensor) {
    return switch (tensor) {
      case LogicalTensor.Dense(TensorInfo info) -> info.shape();
      case LogicalTensor.Quantized quantized -> quantized.tensor().shape();
    };
  }

  /// Bytes of a tensor as the file holds it.
  static long bytes(LogicalTensor tensor) {
    return switch (tensor) {
      case LogicalTensor.Dense(TensorInfo info) -> info.byteSize();
      case LogicalTensor.Quantized quantized ->
          quantized.tensor().parts().values().stream().mapToLong(MemorySegment::byteSize).sum();
    };
  }

  /// A tensor, if there is one of that name.
  Optional<Stored> find(String name) {
    return Optional.ofNullable(tensors.get(name));
  }

  /// The bytes of a matrix, as they lie in the file.
  ///
  /// @throws UnsupportedException for rows of a weight that is quantized otherwise than in rows
  WeightSource source(Stored stored) {
    return switch (stored.tensor()) {
      case LogicalTensor.Dense(TensorInfo info) ->
          new WeightSource.Dense(bytes(info, stored), info.dtype(), stored.shape());
      case LogicalTensor.Quantized weight -> new WeightSource.Quantized(rows(weight, stored));
    };
  }

  private MemorySegment bytes(TensorInfo info, Stored stored) {
    DType dtype = info.dtype();
    return model
        .checkpoint()
        .data(info)
        .asSlice(dtype.byteSize(stored.first()), dtype.byteSize(stored.shape().elements()));
  }

  static QuantizedTensor rows(LogicalTensor.Quantized weight, Stored stored) {
    QuantizedTensor whole = weight.tensor();
    if (whole.shape().equals(stored.shape())) {
      return whole;
    }
    if (whole.scheme() instanceof GgmlBlock block && block.fits(stored.shape())) {
      MemorySegment codes =
          whole
              .part(Part.CODES)
              .asSlice(block.codeBytes(stored.first()), block.codeBytes(stored.shape().elements()));
      return new QuantizedTensor(block, stored.shape(), whole.dtype(), Map.of(Part.CODES, codes));
    }
    throw new UnsupportedException(
        "tensor '" + Text.printable(weight.name()) + "'",
        "is quantized as a whole by "
            + whole.scheme().id()
            + " and only some rows of it are wanted: quantize the model anew with --names"
            + " diffusers");
  }

  /// All elements in float32.
  float[] floats(Stored stored) {
    float[] values = new float[Math.toIntExact(stored.shape().elements())];
    switch (stored.tensor()) {
      case LogicalTensor.Dense(TensorInfo info) ->
          FloatReader.of(info.dtype()).read(bytes(info, stored), 0, values, values.length);
      case LogicalTensor.Quantized weight -> {
        QuantizedTensor rows = rows(weight, stored);
        rows.scheme()
            .decoder(rows)
            .decode(0, values.length, MemorySegment.ofArray(values), DType.F32);
      }
    }
    return values;
  }
}
