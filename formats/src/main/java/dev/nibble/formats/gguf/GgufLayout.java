package dev.nibble.formats.gguf;

import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Where everything goes in a GGUF file, version 3, decided before any data is read: tensors follow
/// one another in the order given, each padded to the alignment, as ggml insists.
public final class GgufLayout {
  private static final int VERSION = 3;

  /// Dimensions that ggml has room for.
  public static final int MOST_DIMS = 4;

  /// Bytes of a name that image tools accept; llama.cpp as it is built for text accepts 63.
  public static final int LONGEST_NAME = 127;

  private final byte[] header;
  private final Map<String, TensorInfo> tensors;
  private final long fileSize;

  private GgufLayout(byte[] header, Map<String, TensorInfo> tensors, long fileSize) {
    this.header = header;
    this.tensors = tensors;
    this.fileSize = fileSize;
  }

  /// A tensor to be written.
  ///
  /// @param shape outermost dimension first
  public record Spec(String name, GgmlType type, Shape shape) {
    public long byteSize() {
      return type.byteSize(shape.elements());
    }
  }

  /// Plans a file.
  ///
  /// @param specs in the order in which they will lie
  /// @param metadata in its order, without {@link GgufHeader#ALIGNMENT}, which is 32
  /// @throws UnsupportedException if a tensor has more dimensions, or a longer name, than tools
  ///   read
  /// @throws IllegalArgumentException for a name that occurs twice, or rows that aren't whole
  ///   blocks
  public static GgufLayout plan(List<Spec> specs, Map<String, GgufValue> metadata) {
    Output out = new Output();
    out.bytes("GGUF".getBytes(StandardCharsets.US_ASCII));
    out.int32(VERSION);
    out.int64(specs.size());
    out.int64(metadata.size());
    metadata.forEach((key, value) -> {
      out.text(key);
      out.int32(value.type().id());
      out.value(value);
    });
    List<Long> offsets = new ArrayList<>();
    long end = 0;
    Map<String, Spec> names = new HashMap<>();
    for (Spec spec : specs) {
      require(spec);
      if (names.put(spec.name(), spec) != null) {
        throw new IllegalArgumentException("the tensor name '" + spec.name() + "' is taken");
      }
      out.tensor(spec, end);
      offsets.add(end);
      end = Math.addExact(end, aligned(spec.byteSize()));
    }
    long start = aligned(out.size());
    Map<String, TensorInfo> tensors = LinkedHashMap.newLinkedHashMap(specs.size());
    for (int i = 0; i < specs.size(); i++) {
      Spec spec = specs.get(i);
      long offset = Math.addExact(start, offsets.get(i));
      var tensor = new GgufTensor(spec.name(), spec.type(), spec.shape(), offset, spec.byteSize());
      tensors.put(spec.name(), tensor.stored(spec.shape()));
    }
    return new GgufLayout(out.toBytes(), tensors, Math.addExact(start, end));
  }

  private static void require(Spec spec) {
    if (spec.shape().rank() > MOST_DIMS) {
      throw new UnsupportedException(
          "tensor '" + spec.name() + "'",
          "has %d dimensions and a GGUF file holds tensors of at most %d"
              .formatted(spec.shape().rank(), MOST_DIMS));
    }
    int length = spec.name().getBytes(StandardCharsets.UTF_8).length;
    if (length > LONGEST_NAME) {
      throw new UnsupportedException(
          "tensor '" + spec.name() + "'",
          "has a name of %d bytes and tools read GGUF names of at most %d"
              .formatted(length, LONGEST_NAME));
    }
    if (!spec.type().fits(spec.shape())) {
      throw new IllegalArgumentException(
          "rows of '%s' %s are no whole blocks of %s"
              .formatted(spec.name(), spec.shape(), spec.type()));
    }
  }

  private static long aligned(long size) {
    return Math.ceilDiv(size, GgufHeader.DEFAULT_ALIGNMENT) * GgufHeader.DEFAULT_ALIGNMENT;
  }

  /// Everything before the tensor data, padding excepted.
  byte[] header() {
    return header.clone();
  }

  /// The tensors with their places, as {@link GgufCheckpoint#tensors()} will show them.
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  public long fileSize() {
    return fileSize;
  }

  /// The header's bytes as they come.
  private static final class Output {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    int size() {
      return out.size();
    }

    byte[] toBytes() {
      return out.toByteArray();
    }

    void bytes(byte[] bytes) {
      out.writeBytes(bytes);
    }

    private static ByteBuffer buffer(int size) {
      return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    void int32(int value) {
      bytes(buffer(4).putInt(value).array());
    }

    void int64(long value) {
      bytes(buffer(8).putLong(value).array());
    }

    void text(String text) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      int64(bytes.length);
      bytes(bytes);
    }

    void value(GgufValue value) {
      switch (value) {
        case GgufValue.Whole whole -> {
          switch (whole.type()) {
            case U8, I8 -> bytes(new byte[] {(byte) whole.value()});
            case U16, I16 -> bytes(buffer(2).putShort((short) whole.value()).array());
            case U32, I32 -> int32((int) whole.value());
            case U64, I64 -> int64(whole.value());
            case F32, BOOL, STRING, ARRAY, F64 -> throw new AssertionError(whole);
          }
        }
        case GgufValue.Real real when real.type() == GgufType.F32 ->
            bytes(buffer(4).putFloat((float) real.value()).array());
        case GgufValue.Real real -> bytes(buffer(8).putDouble(real.value()).array());
        case GgufValue.Bool bool -> bytes(new byte[] {(byte) (bool.value() ? 1 : 0)});
        case GgufValue.Text text -> text(text.value());
        case GgufValue.Array array -> {
          int32(array.element().id());
          int64(array.values().size());
          array.values().forEach(this::value);
        }
      }
    }

    void tensor(Spec spec, long offset) {
      text(spec.name());
      int32(spec.shape().rank());
      spec.shape().dims().reversed().forEach(this::int64);
      int32(spec.type().id());
      int64(offset);
    }
  }
}
