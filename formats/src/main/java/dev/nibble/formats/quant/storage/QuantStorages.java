package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.DynamicInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.MicroFloat;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.SvdQuant;
import dev.nibble.formats.quant.storage.ComfyStorage.Transport;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/// Chooses the storage of a weight, and finds quantized weights in files.
public final class QuantStorages {
  private QuantStorages() {}

  /// The storage that most tools open: bitsandbytes for its own schemes, compressed-tensors for
  /// integers where its rules hold, ComfyUI's for scaled fp8, else nibble's own.
  public static QuantStorage choose(QuantScheme scheme, Shape shape) {
    QuantStorage preferred =
        switch (scheme) {
          case FourBit _, LlmInt8 _ -> new BitsAndBytesStorage();
          case AbsmaxInt8 _, AffineInt8 _ -> new CompressedTensorsStorage();
          case DynamicInt8 _, SvdQuant _ -> new NibbleStorage();
          case GgmlBlock _ -> new GgufStorage();
          case GroupedInt _, MicroFloat _ -> new CompressedTensorsStorage();
          case Fp8 fp8 ->
              switch (fp8.scaling()) {
                case NONE -> new PlainStorage();
                case TENSOR -> new ComfyStorage(Transport.LAYER);
                case ROW, TILE -> new CompressedTensorsStorage();
              };
        };
    return preferred.stores(scheme, shape) ? preferred : new NibbleStorage();
  }

  /// Every storage of safetensors files.
  public static List<QuantStorage> all() {
    return List.of(
        new BitsAndBytesStorage(),
        new CompressedTensorsStorage(),
        new GptqStorage(1),
        new GptqStorage(2),
        new AwqStorage(),
        new ComfyStorage(Transport.LAYER),
        new ComfyStorage(Transport.HEADER),
        new ComfyStorage(Transport.MARKER),
        new PlainStorage(),
        new NibbleStorage());
  }

  /// The tensors of a model, by name: quantized weights with their statistics absorbed, everything
  /// else as it is, in the order of the file. No codes are copied or read; what is allocated is
  /// four bytes a weight with double quantization.
  ///
  /// @param checkpoint borrowed as long as the result is used
  /// @param config the model's `config.json`, where there is one
  /// @param allocator of parts that no tensor of the file holds as they are
  /// @throws FormatException if a weight lacks a statistic, or one has another dtype, shape or size
  ///   than the rest says, or describes itself wrongly
  /// @throws UnsupportedException if a weight uses a variant of these formats that nibble can't
  ///   read, or anything says that it is quantized in a way that nibble doesn't know
  public static SequencedMap<String, LogicalTensor> read(
      Checkpoint checkpoint, Optional<JsonNode> config, SegmentAllocator allocator) {
    return checkpoint instanceof SelfDescribing self
        ? self.logicalTensors()
        : new StorageReader(checkpoint, config, allocator).read();
  }

  /// What has already quantized a model, in words such as `bitsandbytes (4-bit nf4)` or `GPTQ`, if
  /// anything has. Plain, unscaled 8-bit floats don't count.
  ///
  /// @param config the model's `config.json`, where there is one
  public static Optional<String> quantizedBy(Checkpoint checkpoint, Optional<JsonNode> config) {
    return checkpoint instanceof SelfDescribing self
        ? self.quantizedBy()
        : new QuantOrigin(checkpoint, config).find();
  }
}
