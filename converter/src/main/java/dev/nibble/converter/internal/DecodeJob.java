package dev.nibble.converter.internal;

import dev.nibble.formats.DType;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.WeightDecoder;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Decodes one quantized weight into a plain tensor.
final class DecodeJob implements Job {
  private final String name;
  private final QuantizedTensor tensor;
  private final DType target;
  private final SafetensorsWriter writer;
  private final long elementsPerSlice;
  private volatile @Nullable WeightDecoder decoder;

  DecodeJob(
      String name,
      QuantizedTensor tensor,
      DType target,
      SafetensorsWriter writer,
      long sliceBytes) {
    this.name = name;
    this.tensor = tensor;
    this.target = target;
    this.writer = writer;
    this.elementsPerSlice =
        QuantizeJob.unitsPerSlice(
            tensor.scheme(), tensor.layout(), tensor.shape(), target, sliceBytes);
  }

  @Override
  public String tensor() {
    return name;
  }

  @Override
  public long units() {
    return tensor.shape().elements();
  }

  @Override
  public long unitsPerSlice() {
    return elementsPerSlice;
  }

  @Override
  public long bufferBytes() {
    return target.byteSize(Math.min(elementsPerSlice, units()));
  }

  @Override
  public long sourceBytes(long units) {
    return tensor.scheme().codeBytes(units);
  }

  @Override
  public void start() {
    decoder = tensor.scheme().decoder(tensor);
  }

  @Override
  public void run(long begin, long count, MemorySegment buffer) throws IOException {
    WeightDecoder running = decoder;
    if (running == null) {
      throw new AssertionError("a slice of " + name + " before its start");
    }
    MemorySegment decoded = buffer.asSlice(0, target.byteSize(count));
    running.decode(begin, count, decoded, target);
    writer.write(name, target.byteSize(begin), decoded);
  }

  @Override
  public void finish() {
    decoder = null;
  }
}
