package dev.nibble.formats.nunchaku;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.SvdQuant;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Writes a model's directory as diffusers' `nunchaku_lite` opens it: 4-bit layers with a low rank
/// beside them, for kernels that also round inputs to 4 bits.
///
/// The source is a directory that nibble has quantized to `int4:g64:bf16+svdRANK`, with the names
/// of diffusers' classes; nothing is rounded again but the right factor, which nunchaku applies to
/// inputs before they are scaled. Layers that are not quantized go over as they are. A layer at a
/// time is in memory.
///
/// Sources: diffusers 0.40 `quantizers/nunchaku`, deepcompressor `backend/nunchaku`.
public final class NunchakuExport {
  private static final String WEIGHT = ".weight";
  private static final String BIAS = ".bias";

  private final Path source;
  private final OpenModel model;

  /// A layer that becomes 4-bit.
  private record Layer(String module, QuantizedTensor weight, Optional<TensorInfo> bias) {
    int out() {
      return Math.toIntExact(weight.shape().dim(0));
    }

    int in() {
      return Math.toIntExact(weight.shape().dim(1));
    }
  }

  private final Map<String, Layer> layers = new LinkedHashMap<>();
  private final List<TensorInfo> kept = new ArrayList<>();
  private final int rank;

  private NunchakuExport(Path source, OpenModel model) {
    this.source = source;
    this.model = model;
    requireNames();
    for (LogicalTensor tensor : model.tensors().values()) {
      if (tensor instanceof LogicalTensor.Quantized weight) {
        Layer layer = layer(weight);
        layers.put(layer.module(), layer);
      }
    }
    for (LogicalTensor tensor : model.tensors().values()) {
      if (tensor instanceof LogicalTensor.Dense(TensorInfo info) && !isBias(info.name())) {
        kept.add(info);
      }
    }
    if (layers.isEmpty()) {
      throw refusal("holds no layer in " + wanted());
    }
    rank =
        layers.values().stream()
            .mapToInt(layer -> ((SvdQuant) layer.weight().scheme()).rank())
            .map(NunchakuLayer::padded)
            .max()
            .orElseThrow();
  }

  /// What was written.
  ///
  /// @param layers that became 4-bit
  /// @param rank of all of them
  public record Summary(int layers, int rank) {}

  /// Writes a directory.
  ///
  /// @param source a model's directory
  /// @param target must not exist, unless `force` replaces it
  /// @throws UnsupportedException if a layer is in another scheme, or has sizes that the kernels do
  ///   not take, or names are not those of diffusers' classes
  /// @throws IOException if a file can't be read or written; the message names it
  public static Summary write(Path source, Path target, boolean force) throws IOException {
    try (OpenModel model = OpenModel.open(source)) {
      NunchakuExport export = new NunchakuExport(source, model);
      try (PendingOutput output = PendingOutput.directory(target, force)) {
        export.write(output.path());
        output.commit();
      }
      return new Summary(export.layers.size(), export.rank);
    }
  }

  private static String wanted() {
    return "int4:g64:bf16+svdRANK: quantize the model so first";
  }

  private UnsupportedException refusal(String what) {
    return new UnsupportedException(source.toString(), what);
  }

  private void requireNames() {
    if (ModelFamilies.recognise(model.tensors().keySet()).dialect() == Dialect.ORIGINAL) {
      throw refusal(
          "has the names of the original files, and nunchaku_lite wants those of diffusers:"
              + " quantize with --names diffusers");
    }
  }

  private Layer layer(LogicalTensor.Quantized weight) {
    String where = "'" + Text.printable(weight.name()) + "' ";
    if (!(weight.tensor().scheme() instanceof SvdQuant scheme) || !NunchakuLayer.takes(scheme)) {
      throw refusal(where + "is " + weight.tensor().scheme().id() + ", not " + wanted());
    }
    if (!NunchakuLayer.takes(weight.tensor().shape())) {
      throw refusal(
          where
              + "has the shape "
              + weight.tensor().shape()
              + ", and nunchaku's kernels take multiples of 128: keep this layer with --skip");
    }
    if (!weight.name().endsWith(WEIGHT)) {
      throw refusal(where + "is no layer's weight");
    }
    String module = weight.name().substring(0, weight.name().length() - WEIGHT.length());
    Optional<TensorInfo> bias =
        model.tensors().get(module + BIAS) instanceof LogicalTensor.Dense(TensorInfo info)
            ? Optional.of(info)
            : Optional.empty();
    return new Layer(module, weight.tensor(), bias);
  }

  /// Whether a tensor is packed with its layer.
  private boolean isBias(String name) {
    return name.endsWith(BIAS)
        && layers.containsKey(name.substring(0, name.length() - BIAS.length()));
  }

  private void write(Path directory) throws IOException {
    List<TensorSpec> specs = new ArrayList<>();
    for (TensorInfo info : kept) {
      specs.add(new TensorSpec(info.name(), info.dtype(), info.shape()));
    }
    for (Layer layer : layers.values()) {
      NunchakuLayer.pieces(layer.out(), layer.in(), rank, layer.bias().isPresent())
          .forEach((name, piece) ->
              specs.add(new TensorSpec(layer.module() + "." + name, piece.dtype(), piece.shape())));
    }
    String base = model.directory().map(ModelDirectory.Model::baseName).orElseThrow();
    SafetensorsLayout layout = SafetensorsLayout.plan(specs, List.of(), Map.of("format", "pt"));
    Path file = directory.resolve(base + ".safetensors");
    try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout)) {
      for (TensorInfo info : kept) {
        writer.write(info.name(), 0, model.checkpoint().data(info));
      }
      for (Layer layer : layers.values()) {
        write(layer, writer);
      }
      writer.finish();
    }
    Files.writeString(
        directory.resolve("config.json"),
        QuantizationConfig.merge(
            model.config().orElseGet(JsonNodeFactory.instance::objectNode), configuration()));
  }

  private void write(Layer layer, SafetensorsWriter writer) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Optional<float[]> bias = layer.bias().map(info -> floats(info, layer.out()));
      Map<String, MemorySegment> packed =
          NunchakuLayer.of(layer.weight(), bias, rank, arena).pack(arena);
      for (Map.Entry<String, MemorySegment> piece : packed.entrySet()) {
        writer.write(layer.module() + "." + piece.getKey(), 0, piece.getValue());
      }
    }
  }

  private float[] floats(TensorInfo bias, int count) {
    if (!bias.shape().equals(Shape.of(count)) || !bias.dtype().isQuantizable()) {
      throw refusal("'" + Text.printable(bias.name()) + "' is no bias of its layer");
    }
    float[] values = new float[count];
    FloatReader.of(bias.dtype()).read(model.checkpoint().data(bias), 0, values, count);
    return values;
  }

  private ObjectNode configuration() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("compute_dtype", "bfloat16");
    json.put("quant_method", "nunchaku_lite");
    ObjectNode layersOf = json.putObject("svdq_w4a4");
    layersOf.put("group_size", NunchakuLayer.GROUP_SIZE);
    layersOf.put("precision", "int4");
    layersOf.put("rank", rank);
    layers.keySet().forEach(layersOf.putArray("targets")::add);
    return json;
  }
}
