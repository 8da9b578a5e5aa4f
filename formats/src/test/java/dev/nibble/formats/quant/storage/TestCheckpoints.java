package dev.nibble.formats.quant.storage;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.quant.Codecs;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;

/// Checkpoints with quantized weights, written by a storage's plan.
final class TestCheckpoints {
  private TestCheckpoints() {}

  static TestCheckpoint empty() {
    return new TestCheckpoint(Path.of("test.safetensors"));
  }

  /// One weight `l.0.weight` in the storage that its scheme is given.
  static TestCheckpoint stored(String id, Shape shape) {
    QuantScheme scheme = QuantSchemes.parse(id);
    TestCheckpoint checkpoint = empty();
    store(
        checkpoint,
        QuantStorages.choose(scheme, shape),
        "l.0.weight",
        scheme,
        shape,
        DType.F32,
        Codecs.encode(scheme, shape, DType.F32, gaussian(shape, 7)));
    return checkpoint;
  }

  static void store(
      TestCheckpoint checkpoint,
      QuantStorage storage,
      String weight,
      QuantScheme scheme,
      Shape shape,
      DType source,
      Codecs.Encoded encoded) {
    for (StoredTensor piece : storage.plan(weight, scheme, shape, source)) {
      switch (piece.content()) {
        case StoredTensor.PartContent part -> {
          MemorySegment bytes = arranged(storage, scheme, shape, part.part(), encoded);
          checkpoint.put(piece.name(), part.dtype(), part.shape(), bytes);
        }
        case StoredTensor.Constant constant ->
            checkpoint.put(
                piece.name(),
                constant.dtype(),
                constant.shape(),
                MemorySegment.ofArray(bytes(constant)));
        case StoredTensor.Document _ -> {
          byte[] bytes = storage.document(scheme, shape, source, encoded.parts());
          checkpoint.put(
              piece.name(), DType.U8, Shape.of(bytes.length), MemorySegment.ofArray(bytes));
        }
      }
    }
  }

  private static MemorySegment arranged(
      QuantStorage storage, QuantScheme scheme, Shape shape, Part part, Codecs.Encoded encoded) {
    PartLayout layout = storage.layout(scheme);
    MemorySegment bytes = MemorySegment.ofArray(encoded.bytes(part));
    if (part != Part.CODES) {
      return layout.arrange(part, scheme, shape, bytes, Arena.ofAuto());
    }
    if (layout.isInOrder()) {
      layout.arrangeInPlace(bytes);
      return bytes;
    }
    MemorySegment target = MemorySegment.ofArray(new byte[(int) bytes.byteSize()]);
    long step = layout.sliceAlignment(scheme, shape);
    for (long begin = 0; begin < shape.elements(); begin += step) {
      long count = Math.min(step, shape.elements() - begin);
      MemorySegment codes = bytes.asSlice(scheme.codeBytes(begin), scheme.codeBytes(count));
      layout.putCodes((GroupedInt) scheme, shape, begin, count, codes, target);
    }
    return target;
  }

  /// The tensors of a checkpoint below a prefix, without it.
  static TestCheckpoint subset(TestCheckpoint all, String prefix) {
    TestCheckpoint subset = empty();
    for (TensorInfo info : all.tensors().values()) {
      if (info.name().startsWith(prefix)) {
        subset.put(
            info.name().substring(prefix.length()), info.dtype(), info.shape(), all.data(info));
      }
    }
    return subset;
  }

  static byte[] bytes(StoredTensor.Constant constant) {
    byte[] bytes = new byte[constant.bytes().size()];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = constant.bytes().get(i);
    }
    return bytes;
  }

  static Shape shape(String dims) {
    return Shape.of(Arrays.stream(dims.split("x")).mapToLong(Long::parseLong).toArray());
  }

  static MemorySegment gaussian(Shape shape, long seed) {
    Random random = new Random(seed);
    MemorySegment segment = MemorySegment.ofArray(new byte[(int) shape.elements() * 4]);
    for (int i = 0; i < shape.elements(); i++) {
      segment.set(LittleEndian.FLOAT, 4L * i, (float) random.nextGaussian() * 0.02f);
    }
    return segment;
  }

  /// Changes one byte.
  static void poke(TestCheckpoint checkpoint, String name, int at, int value) {
    TensorInfo info = checkpoint.info(name);
    byte[] bytes = checkpoint.data(info).toArray(JAVA_BYTE);
    bytes[at] = (byte) value;
    checkpoint.put(name, info.dtype(), info.shape(), MemorySegment.ofArray(bytes));
  }
}
