package dev.nibble.converter.internal;

import dev.nibble.converter.SourceTensor;
import dev.nibble.converter.SourceTensor.Piece;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.DecodeScratch;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.WeightDecoder;
import dev.nibble.formats.quant.storage.LogicalTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Reads a tensor of the source slice by slice: a view of the mapped file where it lies there as
/// the output wants it, else put together in a buffer. Safe for many threads.
final class TensorReader {
  private static final int CHUNK = 4096;

  private final SourceTensor tensor;
  private final List<PieceReader> pieces = new ArrayList<>();

  /// Reads elements of one piece.
  private sealed interface PieceReader {
    Piece piece();
  }

  private record Dense(Piece piece, MemorySegment data) implements PieceReader {}

  /// @param alignment elements of the whole weight at multiples of which slices decode fastest
  private record Decoded(Piece piece, WeightDecoder decoder, long alignment)
      implements PieceReader {}

  TensorReader(OpenModel source, SourceTensor tensor) {
    this.tensor = tensor;
    for (Piece piece : tensor.pieces()) {
      pieces.add(reader(source, piece));
    }
  }

  private static PieceReader reader(OpenModel source, Piece piece) {
    return switch (source.tensors().get(piece.tensor())) {
      case LogicalTensor.Dense(TensorInfo info) -> new Dense(piece, source.checkpoint().data(info));
      case LogicalTensor.Quantized weight -> {
        QuantizedTensor stored = weight.tensor();
        yield new Decoded(
            piece,
            stored.scheme().decoder(stored),
            Math.max(1, stored.scheme().sliceAlignment(stored.shape())));
      }
      case null -> throw new AssertionError(piece.tensor() + " was planned and is not there");
    };
  }

  /// Slices had best begin at multiples of this many elements.
  static long alignment(OpenModel source, SourceTensor tensor) {
    return tensor.pieces().size() == 1
            && source.tensors().get(tensor.pieces().getFirst().tensor())
                instanceof LogicalTensor.Quantized weight
        ? Math.max(1, weight.tensor().scheme().sliceAlignment(weight.tensor().shape()))
        : 1;
  }

  /// Bytes of buffer for a slice of that many elements.
  static long bufferBytes(SourceTensor tensor, long elements) {
    boolean mapped = tensor.pieces().size() == 1 && !tensor.quantized() && !tensor.transposed();
    return mapped ? 0 : tensor.dtype().byteSize(elements);
  }

  /// The bytes of elements `[begin, begin + count)`.
  ///
  /// @param buffer at least {@link #bufferBytes}; holds the result, or is not used
  MemorySegment read(long begin, long count, MemorySegment buffer) {
    if (tensor.transposed()) {
      return transpose(begin, count, buffer);
    }
    if (pieces.size() == 1 && pieces.getFirst() instanceof Dense dense) {
      return view(dense, begin, count);
    }
    long done = 0;
    long start = 0;
    for (PieceReader piece : pieces) {
      long end = start + piece.piece().count();
      long from = begin + done;
      if (done < count && from < end) {
        long length = Math.min(count - done, end - from);
        MemorySegment part = buffer.asSlice(bytes(done), bytes(length));
        switch (piece) {
          case Dense dense -> part.copyFrom(view(dense, from - start, length));
          case Decoded decoded -> decode(decoded, from - start, length, part);
        }
        done += length;
      }
      start = end;
    }
    return buffer.asSlice(0, bytes(count));
  }

  private long bytes(long elements) {
    return tensor.dtype().byteSize(elements);
  }

  private MemorySegment view(Dense dense, long begin, long count) {
    return dense.data().asSlice(bytes(dense.piece().first() + begin), bytes(count));
  }

  private void decode(Decoded decoded, long begin, long count, MemorySegment target) {
    long first = decoded.piece().first() + begin;
    if (first % decoded.alignment() == 0) {
      decoded.decoder().decode(first, count, target, tensor.dtype());
      return;
    }
    FloatWriter writer = FloatWriter.of(tensor.dtype());
    DecodeScratch scratch = new DecodeScratch();
    float[] chunk = new float[CHUNK];
    for (long done = 0; done < count; done += CHUNK) {
      int length = (int) Math.min(CHUNK, count - done);
      decoded.decoder().decode(first + done, length, chunk, 0, scratch);
      writer.write(chunk, length, target, done);
    }
  }

  /// Element by element: of all models, only text projections are stored transposed.
  private MemorySegment transpose(long begin, long count, MemorySegment buffer) {
    if (!(pieces.getFirst() instanceof Dense dense)) {
      throw new AssertionError("the planner transposes no quantized tensor");
    }
    DType dtype = tensor.dtype();
    Shape shape = tensor.shape();
    long size = dtype.byteSize(1);
    for (long i = 0; i < count; i++) {
      long row = (begin + i) / shape.last();
      long column = (begin + i) % shape.last();
      long stored = column * shape.dim(0) + row;
      MemorySegment.copy(dense.data(), stored * size, buffer, i * size, size);
    }
    return buffer.asSlice(0, bytes(count));
  }
}
