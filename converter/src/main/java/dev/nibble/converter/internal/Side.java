package dev.nibble.converter.internal;

import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.WeightDecoder;
import dev.nibble.formats.quant.storage.LogicalTensor;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/// One side of a comparison: a tensor that can be read as float32, plain or quantized.
sealed interface Side {
  Shape shape();

  /// Scheme or dtype.
  String label();

  /// Stored bytes, statistics included.
  long byteSize();

  /// Slices begin at multiples of this many elements.
  long alignment();

  /// Whether its elements are numbers that can be compared; if not, only the bytes can.
  boolean readable();

  /// Whether the other is stored in the same way with the same bytes.
  boolean sameBytes(Side other);

  /// Begins to read it; what that takes is held as long as the reader is.
  SliceReader reader();

  /// Reads slices; safe for many threads.
  @FunctionalInterface
  interface SliceReader {
    /// Makes elements `[begin, begin + count)` readable as float32.
    ///
    /// @param buffer at least `4 * count` bytes; used or not
    Slice slice(long begin, long count, MemorySegment buffer);
  }

  /// Where to read a slice.
  ///
  /// @param first index of its first element in the data
  record Slice(FloatReader reader, MemorySegment data, long first) {}

  static Side of(OpenModel model, LogicalTensor tensor) {
    return switch (tensor) {
      case LogicalTensor.Dense dense ->
          new Dense(dense.info(), model.checkpoint().data(dense.info()));
      case LogicalTensor.Quantized quantized ->
          new Quantized(quantized.tensor(), storedBytes(quantized));
    };
  }

  private static long storedBytes(LogicalTensor.Quantized weight) {
    return weight.stored().stream().mapToLong(TensorInfo::byteSize).sum();
  }

  /// A plain tensor.
  record Dense(TensorInfo info, MemorySegment data) implements Side {
    @Override
    public Shape shape() {
      return info.shape();
    }

    @Override
    public String label() {
      return info.dtype().toString();
    }

    @Override
    public long byteSize() {
      return info.byteSize();
    }

    @Override
    public long alignment() {
      return 1;
    }

    @Override
    public boolean readable() {
      return info.dtype().isQuantizable();
    }

    @Override
    public boolean sameBytes(Side other) {
      return other instanceof Dense dense
          && dense.info.dtype() == info.dtype()
          && data.mismatch(dense.data) == -1;
    }

    @Override
    public SliceReader reader() {
      FloatReader reader = FloatReader.of(info.dtype());
      return (begin, count, buffer) -> new Slice(reader, data, begin);
    }
  }

  /// A quantized weight.
  ///
  /// @param byteSize of all its stored tensors
  record Quantized(QuantizedTensor tensor, long byteSize) implements Side {
    @Override
    public Shape shape() {
      return tensor.shape();
    }

    @Override
    public String label() {
      return tensor.scheme().id();
    }

    @Override
    public long alignment() {
      return Math.max(1, tensor.scheme().sliceAlignment(tensor.shape()));
    }

    @Override
    public boolean readable() {
      return true;
    }

    @Override
    public boolean sameBytes(Side other) {
      if (!(other instanceof Quantized quantized)
          || !quantized.tensor.scheme().equals(tensor.scheme())
          || quantized.tensor.layout() != tensor.layout()
          || !quantized.tensor.parts().keySet().equals(tensor.parts().keySet())
          || quantized.tensor.dtype() != tensor.dtype()) {
        return false;
      }
      for (Map.Entry<Part, MemorySegment> part : tensor.parts().entrySet()) {
        if (part.getValue().mismatch(quantized.tensor.part(part.getKey())) != -1) {
          return false;
        }
      }
      return true;
    }

    @Override
    public SliceReader reader() {
      WeightDecoder decoder = tensor.scheme().decoder(tensor);
      FloatReader reader = FloatReader.of(DType.F32);
      return (begin, count, buffer) -> {
        decoder.decode(begin, count, buffer.asSlice(0, Float.BYTES * count), DType.F32);
        return new Slice(reader, buffer, 0);
      };
    }
  }
}
