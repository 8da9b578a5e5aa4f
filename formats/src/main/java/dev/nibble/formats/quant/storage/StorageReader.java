package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.internal.StrictJson;
import dev.nibble.formats.quant.GroupedInt;
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
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
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
  private final SourceDtypes dtypes;
  private final Map<String, Quantized> weights = new LinkedHashMap<>();
  private final Set<String> absorbed = new HashSet<>();

  StorageReader(Checkpoint checkpoint, Optional<JsonNode> config, SegmentAllocator allocator) {
    this.checkpoint = checkpoint;
    this.config = config;
    this.allocator = allocator;
    this.names = new TreeSet<>(checkpoint.tensors().keySet());
    this.dtypes = new SourceDtypes(checkpoint, config);
  }

  SequencedMap<String, LogicalTensor> read() {
    CompressedTensorsReader compressed = new CompressedTensorsReader(this, config);
    PackedReader packed = new PackedReader(this);
    GridReader grid = new GridReader(this, config);
    ComfyReader comfy = new ComfyReader(this);
    comfy.readHeader();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      String name = tensor.name();
      if (name.contains(BitsAndBytesStorage.QUANT_STATE)) {
        readFourBit(tensor);
      } else if (name.endsWith(NibbleStorage.QUANT)) {
        readNibble(tensor);
      } else if (!absorbed.contains(name)) {
        String word = name.substring(name.lastIndexOf('.') + 1);
        switch (word) {
          case BitsAndBytesStorage.SCB -> readLlmInt8(tensor);
          case CompressedTensorsStorage.SCALE, CompressedTensorsReader.INVERSE_SCALE ->
              compressed.read(tensor, word);
          case CompressedTensorsStorage.PACKED -> packed.read(tensor);
          case GptqStorage.CODES -> grid.read(tensor);
          case ComfyStorage.QUANT -> comfy.readLayer(tensor);
          case ComfyStorage.OLD_SCALE -> comfy.readOld(tensor);
          case ComfyStorage.OLD_MARKER -> comfy.readMarker(tensor);
          default -> {}
        }
      }
    }
    return result();
  }

  private SequencedMap<String, LogicalTensor> result() {
    SequencedMap<String, LogicalTensor> result = new LinkedHashMap<>();
    Map<String, TensorInfo> left = new LinkedHashMap<>();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      Quantized weight = weights.get(tensor.name());
      if (weight != null) {
        result.put(weight.name(), weight);
      } else if (!absorbed.contains(tensor.name())) {
        result.put(tensor.name(), new Dense(tensor));
        left.put(tensor.name(), tensor);
      }
    }
    new QuantOrigin(checkpoint, config)
        .unread(left)
        .ifPresent(method -> {
          throw new UnsupportedException(
              file().toString(),
              "is quantized by %s, which nibble can't read; it reads %s"
                  .formatted(method, QuantOrigin.READ));
        });
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
      }
    }
    QuantizedTensor tensor =
        new QuantizedTensor(
            scheme, description.shape(), description.dtype(), parts, storage.layout(scheme));
    adopt(marker, weight, storage, tensor, stored);
  }

  /// Takes a weight that has been put together.
  ///
  /// @param marker the tensor that gave the weight away
  /// @param weight full name, ending in `.weight`
  /// @param stored the tensors that hold it, codes first
  void adopt(
      TensorInfo marker,
      String weight,
      QuantStorage storage,
      QuantizedTensor tensor,
      List<TensorInfo> stored) {
    stored.forEach(this::absorb);
    String codes = stored.getFirst().name();
    boolean taken = !codes.equals(weight) && names.contains(weight);
    if (taken || weights.put(codes, new Quantized(weight, tensor, storage, stored)) != null) {
      throw new FormatException(
          where(marker), "one description of the weight '" + weight + "'", "two");
    }
  }

  /// Takes a tensor that is no tensor of the model.
  void absorb(TensorInfo tensor) {
    absorbed.add(tensor.name());
  }

  /// Whether a weight has taken the tensor.
  boolean isTaken(TensorInfo tensor) {
    return absorbed.contains(tensor.name());
  }

  /// The groups of a layer's inputs, unless they follow from the places.
  ///
  /// @throws FormatException if the tensor names groups that are not there
  Optional<MemorySegment> groupIndex(TensorInfo tensor, long in, GroupedInt scheme) {
    if (tensor.dtype() != DType.I32 || !tensor.shape().equals(Shape.of(in))) {
      throw new FormatException(where(tensor), "I32 " + Shape.of(in), describe(tensor));
    }
    MemorySegment data = checkpoint.data(tensor);
    long groups = scheme.groups(in);
    long size = scheme.groupSize() == 0 ? in : scheme.groupSize();
    boolean plain = true;
    boolean unset = true;
    for (long i = 0; i < in; i++) {
      int group = data.get(LittleEndian.INT, i * 4);
      plain &= group == i / size;
      unset &= group == -1; // what compressed-tensors writes where it has no order
      if (!unset && (group < 0 || group >= groups)) {
        throw new FormatException(
            where(tensor), "a group from 0 to " + (groups - 1), "%d".formatted(group));
      }
    }
    return plain || unset ? Optional.empty() : Optional.of(data);
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

  /// The tensor of that name, which something else than a tensor speaks of.
  TensorInfo require(String name, String why) {
    return find(name)
        .orElseThrow(() ->
            new FormatException(Where.in(file()).tensor(name), "it, as " + why, "no such tensor"));
  }

  Optional<TensorInfo> find(String name) {
    return Optional.ofNullable(checkpoint.tensors().get(name));
  }

  /// The checkpoint's file, or its first.
  Path file() {
    return checkpoint.files().getFirst().path();
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

  void requireText(TensorInfo tensor, int longest) {
    if (tensor.dtype() != DType.U8 || tensor.shape().rank() != 1 || tensor.byteSize() > longest) {
      throw new FormatException(
          where(tensor), "a U8 vector of at most " + longest + " bytes", describe(tensor));
    }
  }

  StrictJson json(TensorInfo tensor) {
    byte[] text = checkpoint.data(tensor).toArray(ValueLayout.JAVA_BYTE);
    StrictJson json =
        new StrictJson(
            checkpoint.files().get(tensor.file()).path(),
            MemorySegment.ofArray(text),
            tensor.offset());
    json.about(Optional.of(tensor.name()));
    return json;
  }

  /// As {@link SourceDtypes#of}.
  DType sourceDtype(String prefix, DType fallback) {
    return dtypes.of(prefix, fallback);
  }

  static boolean isFloat(TensorInfo tensor) {
    return SourceDtypes.isFloat(tensor);
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
