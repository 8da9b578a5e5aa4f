package dev.nibble.formats.quant.storage;

import com.fasterxml.jackson.core.JsonToken;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.internal.StrictJson;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Fp8Type;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.storage.ComfyStorage.Transport;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/// Finds the weights of {@link ComfyStorage}, in all its transports. Scales of inputs are passed
/// over: they are of a way to compute, not of the weight.
final class ComfyReader {
  private static final int LONGEST = 4096;

  private final StorageReader reader;

  ComfyReader(StorageReader reader) {
    this.reader = reader;
  }

  /// Takes the layers that the metadata of the file names.
  void readHeader() {
    String text = reader.checkpoint().metadata().get(ComfyStorage.METADATA);
    if (text == null) {
      return;
    }
    layers(text)
        .forEach((layer, format) -> {
          TensorInfo weight = reader.require(layer + ".weight", "the file's metadata names it");
          if (!reader.isTaken(weight)) {
            readScaled(layer + ".", weight, Optional.empty(), format);
          }
        });
  }

  private Map<String, String> layers(String text) {
    Map<String, String> layers = new LinkedHashMap<>();
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    try (StrictJson json = new StrictJson(reader.file(), MemorySegment.ofArray(bytes), 0)) {
      json.expect(JsonToken.START_OBJECT, "a JSON object in " + ComfyStorage.METADATA);
      for (JsonToken token = json.next(); token == JsonToken.FIELD_NAME; token = json.next()) {
        if (!json.string().equals("layers")) {
          json.skipValue();
          continue;
        }
        json.expect(JsonToken.START_OBJECT, "the layers");
        while (json.next() == JsonToken.FIELD_NAME) {
          String layer = json.string();
          layers.put(layer, format(json));
        }
      }
      json.end();
    }
    return layers;
  }

  /// Takes the layer that describes itself.
  void readLayer(TensorInfo description) {
    String prefix = reader.layerPrefix(description, ComfyStorage.QUANT);
    TensorInfo weight = reader.require(prefix + "weight", description);
    reader.requireText(description, LONGEST);
    String format;
    try (StrictJson json = reader.json(description)) {
      format = format(json);
      json.end();
    }
    readScaled(prefix, weight, Optional.of(description), format);
  }

  /// The `format` of a JSON object.
  private static String format(StrictJson json) {
    String format = "";
    json.expect(JsonToken.START_OBJECT, "the description of a layer");
    for (JsonToken token = json.next(); token == JsonToken.FIELD_NAME; token = json.next()) {
      if (json.string().equals("format")) {
        format = json.nextString("a format");
      } else {
        json.skipValue();
      }
    }
    if (format.isEmpty()) {
      throw json.fault("the field 'format'", "none");
    }
    return format;
  }

  private void readScaled(
      String prefix, TensorInfo weight, Optional<TensorInfo> description, String format) {
    Fp8Type type =
        Arrays.stream(Fp8Type.values())
            .filter(known -> known.torchName().equals(format))
            .findFirst()
            .orElseThrow(() ->
                new UnsupportedException(
                    reader.where(weight).toString(),
                    "ComfyUI's format '"
                        + Text.printable(format)
                        + "': of its formats nibble reads "
                        + Arrays.stream(Fp8Type.values())
                            .map(Fp8Type::torchName)
                            .collect(Collectors.joining(" and "))));
    if (weight.dtype() != type.dtype()) {
      throw new FormatException(
          reader.where(weight), type.dtype() + ", as " + format, StorageReader.describe(weight));
    }
    TensorInfo scale = reader.require(prefix + CompressedTensorsStorage.SCALE, weight);
    Transport transport = description.isPresent() ? Transport.LAYER : Transport.HEADER;
    List<TensorInfo> others = new ArrayList<>(description.stream().toList());
    reader.find(prefix + "input_scale").ifPresent(others::add);
    adopt(prefix, weight, scale, transport, others);
  }

  /// Takes a layer of the old convention.
  void readOld(TensorInfo scale) {
    String prefix = reader.layerPrefix(scale, ComfyStorage.OLD_SCALE);
    TensorInfo weight = reader.require(prefix + "weight", scale);
    adopt(
        prefix,
        weight,
        scale,
        Transport.MARKER,
        reader.find(prefix + "scale_input").stream().toList());
  }

  /// The marker of the old convention tells nothing more.
  void readMarker(TensorInfo marker) {
    if (marker.shape().elements() <= 2) {
      reader.absorb(marker);
    }
  }

  private void adopt(
      String prefix,
      TensorInfo weight,
      TensorInfo scale,
      Transport transport,
      List<TensorInfo> others) {
    List<TensorInfo> stored = new ArrayList<>(List.of(weight, scale));
    stored.addAll(others);
    reader.adopt(
        scale,
        weight.name(),
        new ComfyStorage(transport),
        scaledFp8(reader, prefix, weight, scale),
        stored);
  }

  /// A weight of 8-bit floats with one scale.
  static QuantizedTensor scaledFp8(
      StorageReader reader, String prefix, TensorInfo weight, TensorInfo scale) {
    Fp8Type type =
        switch (weight.dtype()) {
          case F8_E4M3 -> Fp8Type.E4M3;
          case F8_E5M2 -> Fp8Type.E5M2;
          default ->
              throw new FormatException(
                  reader.where(weight),
                  "8-bit floats, as it is scaled",
                  StorageReader.describe(weight));
        };
    if (!StorageReader.isFloat(scale) || scale.shape().elements() != 1) {
      throw new FormatException(
          reader.where(scale), "one F32 scale", StorageReader.describe(scale));
    }
    return new QuantizedTensor(
        new Fp8(type, Fp8.Scaling.TENSOR, scale.dtype()),
        weight.shape(),
        reader.sourceDtype(prefix, DType.BF16),
        Map.of(
            Part.CODES,
            reader.checkpoint().data(weight),
            Part.SCALE,
            reader.checkpoint().data(scale)));
  }
}
