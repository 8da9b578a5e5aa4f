package dev.nibble.formats.safetensors;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Where everything goes in a safetensors file, decided before any data is read.
///
/// ```
/// length | JSON, padded with spaces | fixed tensors, official order | late tensors, by name
///        '-- reserved for the longest '-- 8-aligned                 '-- packed at the end
///            the JSON can become
/// ```
///
/// The official order is by dtype, the widest first, then by name: so every tensor is aligned to
/// its own dtype. Without late tensors the file has the very bytes that the official library writes
/// (its order of metadata keys, which is random, aside).
public final class SafetensorsLayout {
  private static final int ALIGNMENT = 8;

  private static final Comparator<TensorSpec> OFFICIAL_ORDER =
      Comparator.comparing(TensorSpec::dtype, Comparator.reverseOrder())
          .thenComparing(TensorSpec::name, CodePointOrder.INSTANCE);

  private final Map<String, TensorInfo> tensors;
  private final List<LateTensor> late;
  private final Map<String, String> metadata;
  private final long headerSize;
  private final long lateOffset;

  private SafetensorsLayout(
      Map<String, TensorInfo> tensors,
      List<LateTensor> late,
      Map<String, String> metadata,
      long headerSize,
      long lateOffset) {
    this.tensors = tensors;
    this.late = late;
    this.metadata = metadata;
    this.headerSize = headerSize;
    this.lateOffset = lateOffset;
  }

  /// Plans a file.
  ///
  /// @param fixed tensors of known size, in any order
  /// @param late tensors whose length turns out later, in any order
  /// @param metadata written first, in its order; left out if empty
  /// @throws IllegalArgumentException for a name that occurs twice, is `__metadata__` or is no text
  /// @throws ArithmeticException if sizes overflow or are not whole bytes
  /// @throws UnsupportedException if the header would be longer than the format allows
  public static SafetensorsLayout plan(
      List<TensorSpec> fixed, List<LateTensor> late, Map<String, String> metadata) {
    requireDistinctNames(fixed, late);
    List<TensorSpec> ordered = new ArrayList<>(fixed);
    ordered.sort(OFFICIAL_ORDER);
    List<LateTensor> orderedLate = new ArrayList<>(late);
    orderedLate.sort(Comparator.comparing(LateTensor::name, CodePointOrder.INSTANCE));

    Map<String, TensorInfo> relative = place(ordered, 0);
    long fixedSize = ordered.stream().mapToLong(TensorSpec::byteSize).reduce(0, Math::addExact);
    var draft =
        new SafetensorsLayout(relative, orderedLate, new LinkedHashMap<>(metadata), 0, fixedSize);
    // Numbers only get shorter, so this is the longest the JSON can become.
    long length = draft.json(orderedLate.stream().map(LateTensor::maxBytes).toList()).length;
    long headerSize = SafetensorsHeader.LENGTH_BYTES + alignUp(length);
    if (headerSize - SafetensorsHeader.LENGTH_BYTES > SafetensorsHeader.MAX_LENGTH) {
      throw new UnsupportedException(
          "the output",
          "its header would take %,d bytes, but safetensors allows %,d: write more, smaller shards"
              .formatted(length, SafetensorsHeader.MAX_LENGTH));
    }
    return new SafetensorsLayout(
        place(ordered, headerSize),
        List.copyOf(orderedLate),
        draft.metadata,
        headerSize,
        Math.addExact(headerSize, fixedSize));
  }

  private static void requireDistinctNames(List<TensorSpec> fixed, List<LateTensor> late) {
    Set<String> names = new HashSet<>();
    fixed.forEach(tensor -> requireNew(names, tensor.name()));
    late.forEach(tensor -> requireNew(names, tensor.name()));
  }

  private static void requireNew(Set<String> names, String name) {
    if (name.equals(HeaderParser.METADATA) || !names.add(name)) {
      throw new IllegalArgumentException("the tensor name '" + name + "' is taken");
    }
  }

  private static Map<String, TensorInfo> place(List<TensorSpec> ordered, long start) {
    Map<String, TensorInfo> placed = LinkedHashMap.newLinkedHashMap(ordered.size());
    long offset = start;
    for (TensorSpec spec : ordered) {
      long size = spec.byteSize();
      placed.put(
          spec.name(), new TensorInfo(spec.name(), spec.dtype(), spec.shape(), 0, offset, size));
      offset = Math.addExact(offset, size);
    }
    return Collections.unmodifiableMap(placed);
  }

  private static long alignUp(long size) {
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /// The tensors of known size in the order of the file; file index 0, offsets from the start of
  /// the file.
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  /// The late tensors in the order of the file.
  public List<LateTensor> late() {
    return late;
  }

  /// The first byte of a tensor of known size, from the start of the file.
  ///
  /// @throws IllegalArgumentException if there is none of that name
  public long offset(String tensor) {
    return tensor(tensor).offset();
  }

  TensorInfo tensor(String name) {
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("no tensor '" + name + "' in the layout");
    }
    return tensor;
  }

  /// Bytes before the tensor data.
  public long headerSize() {
    return headerSize;
  }

  /// The size that the file can't exceed; exact if there are no late tensors.
  public long maxFileSize() {
    return late.stream().mapToLong(LateTensor::maxBytes).reduce(lateOffset, Math::addExact);
  }

  /// Where the late tensors begin.
  long lateOffset() {
    return lateOffset;
  }

  /// The bytes before the tensor data.
  ///
  /// @param lateLengths lengths of the late tensors, in the order of {@link #late()}
  byte[] header(List<Integer> lateLengths) {
    byte[] json = json(lateLengths);
    byte[] header = new byte[Math.toIntExact(headerSize)];
    Arrays.fill(header, (byte) ' ');
    long length = headerSize - SafetensorsHeader.LENGTH_BYTES;
    for (int i = 0; i < SafetensorsHeader.LENGTH_BYTES; i++) {
      header[i] = (byte) (length >>> (8 * i));
    }
    System.arraycopy(json, 0, header, SafetensorsHeader.LENGTH_BYTES, json.length);
    return header;
  }

  private byte[] json(List<Integer> lateLengths) {
    var json = new StringBuilder("{");
    appendMetadata(json);
    for (TensorInfo tensor : tensors.values()) {
      appendTensor(json, tensor);
    }
    long offset = lateOffset;
    for (int i = 0; i < late.size(); i++) {
      long length = lateLengths.get(i);
      var shape = Shape.of(length);
      appendTensor(json, new TensorInfo(late.get(i).name(), DType.U8, shape, 0, offset, length));
      offset = Math.addExact(offset, length);
    }
    json.append('}');
    try {
      var encoded = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(json));
      byte[] bytes = new byte[encoded.remaining()];
      encoded.get(bytes);
      return bytes;
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("a tensor name or the metadata is not Unicode text", e);
    }
  }

  private void appendMetadata(StringBuilder json) {
    if (metadata.isEmpty()) {
      return;
    }
    json.append("\"" + HeaderParser.METADATA + "\":{");
    metadata.forEach((key, value) -> {
      separate(json);
      JsonText.appendString(json, key);
      json.append(':');
      JsonText.appendString(json, value);
    });
    json.append('}');
  }

  private void appendTensor(StringBuilder json, TensorInfo tensor) {
    separate(json);
    JsonText.appendString(json, tensor.name());
    json.append(":{\"dtype\":\"").append(tensor.dtype()).append("\",\"shape\":[");
    String separator = "";
    for (long dim : tensor.shape().dims()) {
      json.append(separator).append(dim);
      separator = ",";
    }
    long begin = tensor.offset() - headerSize;
    json.append("],\"data_offsets\":[").append(begin);
    json.append(',').append(begin + tensor.byteSize()).append("]}");
  }

  private static void separate(StringBuilder json) {
    if (json.charAt(json.length() - 1) != '{') {
      json.append(',');
    }
  }
}
