package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.StrictJson;
import dev.nibble.formats.internal.TorchDtype;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.storage.LogicalTensor.Dense;
import dev.nibble.formats.quant.storage.LogicalTensor.Quantized;
import dev.nibble.formats.quant.storage.StoredTensor.Constant;
import dev.nibble.formats.quant.storage.StoredTensor.Document;
import dev.nibble.formats.quant.storage.StoredTensor.PartContent;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeSet;

/// Reads a checkpoint's quantized weights. A tensor that only one storage has says that a weight is
/// there and describes it; from the description follows the same plan that a writer would have
/// made, and every tensor of the plan must be in the file with that dtype and shape.
final class StorageReader {
  /// Statistics that older files lack: row-major was the only format before it was written down.
  private static final Set<String> OPTIONAL = Set.of(BitsAndBytesStorage.WEIGHT_FORMAT);

  private final Checkpoint checkpoint;
  private final Optional<JsonNode> config;
  private final SegmentAllocator allocator;
  private final TreeSet<String> names;
  private final Optional<DType> mostCommon;
  private final Map<String, Quantized> weights = new LinkedHashMap<>();
  private final Set<String> absorbed = new HashSet<>();

  StorageReader(Checkpoint checkpoint, Optional<JsonNode> config, SegmentAllocator allocator) {
    this.checkpoint = checkpoint;
    this.config = config;
    this.allocator = allocator;
    this.names = new TreeSet<>(checkpoint.tensors().keySet());
    this.mostCommon = mostCommonFloat(checkpoint);
  }

  SequencedMap<String, LogicalTensor> read() {
    CompressedTensorsReader compressed = new CompressedTensorsReader(this, config);
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      String name = tensor.name();
      if (name.contains(BitsAndBytesStorage.QUANT_STATE)) {
        readFourBit(tensor);
      } else if (name.endsWith("." + BitsAndBytesStorage.SCB)) {
        readLlmInt8(tensor);
      } else if (name.endsWith(NibbleStorage.QUANT)) {
        readNibble(tensor);
      } else if (name.endsWith("." + CompressedTensorsStorage.SCALE)) {
        compressed.read(tensor);
      }
    }
    SequencedMap<String, LogicalTensor> result = new LinkedHashMap<>();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      Quantized weight = weights.get(tensor.name());
      if (weight != null) {
        result.put(tensor.name(), weight);
      } else if (!absorbed.contains(tensor.name())) {
        result.put(tensor.name(), new Dense(tensor));
      }
    }
    return result;
  }

  private void readFourBit(TensorInfo tensor) {
    int at = tensor.name().indexOf(BitsAndBytesStorage.QUANT_STATE);
    String weight = tensor.name().substring(0, at);
    String type = tensor.name().substring(at + BitsAndBytesStorage.QUANT_STATE.length());
    if (!type.equals("nf4") && !type.equals("fp4")) {
      throw new FormatException(where(tensor), "a quant_state of type nf4 or fp4", "of another");
    }
    requireText(tensor, QuantStateJson.LONGEST);
    QuantStateJson.Parsed parsed;
    try (StrictJson json = json(tensor)) {
      parsed = QuantStateJson.parse(json, type);
    }
    QuantStateJson state = parsed.state();
    Map<Part, MemorySegment> extra = new EnumMap<>(Part.class);
    parsed.offset().ifPresent(offset -> extra.put(Part.NESTED_OFFSET, single(offset)));
    add(
        tensor,
        weight,
        new BitsAndBytesStorage(),
        state.scheme(),
        new Description(state.dtype(), state.shape(), extra));
    requireNoOthers(weight + ".", tensor);
  }

  private MemorySegment single(float value) {
    MemorySegment segment = allocator.allocate(Float.BYTES, Float.BYTES);
    segment.set(LittleEndian.FLOAT, 0, value);
    return segment;
  }

  private void readLlmInt8(TensorInfo scb) {
    String prefix = layerPrefix(scb, BitsAndBytesStorage.SCB);
    TensorInfo weight = require(prefix + "weight", scb);
    if (weight.dtype() != DType.I8 || weight.shape().rank() != 2) {
      throw new FormatException(where(weight), "an I8 matrix, as it has an SCB", describe(weight));
    }
    Description description =
        new Description(sourceDtype(prefix, DType.F16), weight.shape(), Map.of());
    add(scb, weight.name(), new BitsAndBytesStorage(), new LlmInt8(), description);
  }

  private void readNibble(TensorInfo tensor) {
    String weight =
        tensor.name().substring(0, tensor.name().length() - NibbleStorage.QUANT.length());
    requireText(tensor, NibbleDescription.LONGEST);
    NibbleDescription description;
    try (StrictJson json = json(tensor)) {
      description = NibbleDescription.parse(json, tensor.name());
    }
    add(
        tensor,
        weight,
        new NibbleStorage(),
        description.scheme(),
        new Description(description.dtype(), description.shape(), Map.of()));
    requireNoOthers(weight + NibbleStorage.INFIX, tensor);
  }

  /// What is known of a weight besides its scheme.
  ///
  /// @param extra parts that no tensor holds
  record Description(DType dtype, Shape shape, Map<Part, MemorySegment> extra) {}

  /// Takes a weight whose tensors follow from its scheme, shape and dtype.
  ///
  /// @param marker the tensor that gave the weight away
  void add(
      TensorInfo marker,
      String weight,
      QuantStorage storage,
      QuantScheme scheme,
      Description description) {
    if (!storage.stores(scheme, description.shape())) {
      throw new FormatException(
          where(marker),
          "a weight that " + storage.id() + " can hold as " + scheme.id(),
          "shape " + description.shape());
    }
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    parts.putAll(description.extra());
    Set<Part> flipped = EnumSet.noneOf(Part.class);
    List<TensorInfo> stored = new ArrayList<>();
    for (StoredTensor piece :
        storage.plan(weight, scheme, description.shape(), description.dtype())) {
      if (isOptional(piece) && !names.contains(piece.name())) {
        continue;
      }
      TensorInfo tensor = require(piece.name(), marker);
      check(tensor, piece, marker);
      stored.add(tensor);
      if (piece.content() instanceof PartContent part) {
        parts.put(part.part(), checkpoint.data(tensor));
        if (part.flipSignBit()) {
          flipped.add(part.part());
        }
      }
    }
    stored.forEach(tensor -> absorbed.add(tensor.name()));
    QuantizedTensor tensor =
        new QuantizedTensor(scheme, description.shape(), description.dtype(), parts, flipped);
    if (weights.put(weight, new Quantized(weight, tensor, storage, stored)) != null) {
      throw new FormatException(
          where(marker), "one description of the weight '" + weight + "'", "two");
    }
  }

  private static boolean isOptional(StoredTensor piece) {
    return OPTIONAL.stream().anyMatch(suffix -> piece.name().endsWith("." + suffix));
  }

  private void check(TensorInfo tensor, StoredTensor piece, TensorInfo marker) {
    switch (piece.content()) {
      case PartContent part -> {
        if (tensor.dtype() != part.dtype() || !tensor.shape().equals(part.shape())) {
          throw new FormatException(
              where(tensor), part.dtype() + " " + part.shape(), describe(tensor));
        }
      }
      case Constant constant -> {
        // The marker is the description itself, which was read and not compared.
        if (!tensor.equals(marker)) {
          requireConstant(tensor, constant);
        }
      }
      case Document _ -> {}
    }
  }

  private void requireConstant(TensorInfo tensor, Constant constant) {
    byte[] expected = new byte[constant.bytes().size()];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = constant.bytes().get(i);
    }
    String wanted = constant.dtype() + " " + constant.shape();
    if (tensor.dtype() != constant.dtype() || tensor.byteSize() != expected.length) {
      throw new FormatException(where(tensor), wanted, describe(tensor));
    }
    if (MemorySegment.ofArray(expected).mismatch(checkpoint.data(tensor)) >= 0) {
      throw new FormatException(
          where(tensor), wanted + " with the bytes " + constant.bytes(), "other bytes");
    }
  }

  /// The tensor of that name.
  TensorInfo require(String name, TensorInfo marker) {
    TensorInfo tensor = checkpoint.tensors().get(name);
    if (tensor == null) {
      throw new FormatException(
          where(marker).tensor(name), "it, as '" + marker.name() + "' is there", "no such tensor");
    }
    return tensor;
  }

  boolean has(String name) {
    return names.contains(name);
  }

  Checkpoint checkpoint() {
    return checkpoint;
  }

  private void requireNoOthers(String prefix, TensorInfo marker) {
    for (String name : names.tailSet(prefix)) {
      if (!name.startsWith(prefix)) {
        return;
      }
      if (!absorbed.contains(name)) {
        throw new FormatException(
            where(marker).tensor(name), "the statistics of a quantized weight", "another tensor");
      }
    }
  }

  private void requireText(TensorInfo tensor, int longest) {
    if (tensor.dtype() != DType.U8 || tensor.shape().rank() != 1 || tensor.byteSize() > longest) {
      throw new FormatException(
          where(tensor), "a U8 vector of at most " + longest + " bytes", describe(tensor));
    }
  }

  private StrictJson json(TensorInfo tensor) {
    byte[] text = checkpoint.data(tensor).toArray(ValueLayout.JAVA_BYTE);
    StrictJson json =
        new StrictJson(
            checkpoint.files().get(tensor.file()).path(),
            MemorySegment.ofArray(text),
            tensor.offset());
    json.about(Optional.of(tensor.name()));
    return json;
  }

  /// The dtype of a weight whose file doesn't say: that of the layer's bias, which quantizing
  /// leaves as it is, else what the configuration names, else that of most other numbers, else a
  /// given one.
  DType sourceDtype(String prefix, DType fallback) {
    TensorInfo bias = checkpoint.tensors().get(prefix + "bias");
    if (bias != null && isFloat(bias)) {
      return bias.dtype();
    }
    return config
        .map(json -> json.has("dtype") ? json.get("dtype") : json.path("torch_dtype"))
        .filter(JsonNode::isTextual)
        .flatMap(text -> TorchDtype.named(text.textValue()))
        .or(() -> mostCommon)
        .orElse(fallback);
  }

  private static boolean isFloat(TensorInfo tensor) {
    return switch (tensor.dtype()) {
      case F32, F16, BF16 -> true;
      default -> false;
    };
  }

  private static Optional<DType> mostCommonFloat(Checkpoint checkpoint) {
    Map<DType, Long> sizes = new EnumMap<>(DType.class);
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      boolean statistic =
          tensor.name().endsWith("." + BitsAndBytesStorage.SCB)
              || tensor.name().endsWith("." + CompressedTensorsStorage.SCALE);
      if (isFloat(tensor) && !statistic) {
        sizes.merge(tensor.dtype(), tensor.byteSize(), Long::sum);
      }
    }
    return sizes.entrySet().stream().max(Map.Entry.comparingByValue()).map(Map.Entry::getKey);
  }

  /// What stands before the last word of a marker's name.
  String layerPrefix(TensorInfo marker, String word) {
    return marker.name().substring(0, marker.name().length() - word.length());
  }

  Where where(TensorInfo tensor) {
    return Where.in(checkpoint.files().get(tensor.file()).path())
        .tensor(tensor.name())
        .at(tensor.offset());
  }

  static String describe(TensorInfo tensor) {
    return tensor.dtype() + " " + tensor.shape();
  }
}
