package dev.nibble.runtime.weights;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.SvdBranch;
import dev.nibble.formats.quant.SvdQuant;
import dev.nibble.formats.quant.WeightEncoder;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.QuantStorages;
import dev.nibble.formats.quant.storage.StoredTensor;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;

/// A component of a model, stored anew in other schemes.
public final class RewrittenComponent implements AutoCloseable {
  private final List<TensorSpec> specs = new ArrayList<>();
  private final List<MemorySegment> bytes = new ArrayList<>();
  private final Arena arena = Arena.ofConfined();

  private RewrittenComponent() {}

  /// A component of one layer with random weights.
  public static void random(Path target, String layer, int out, int in) throws IOException {
    try (RewrittenComponent written = new RewrittenComponent()) {
      float[] values = gaussian(out * in, new Random(3));
      MemorySegment data = written.arena.allocate(2L * values.length, 2);
      for (int i = 0; i < values.length; i++) {
        values[i] *= 0.05f;
      }
      FloatWriter.of(DType.BF16).write(values, values.length, data, 0);
      written.put(layer + ".weight", DType.BF16, Shape.of(out, in), data);
      ObjectNode config = JsonNodeFactory.instance.objectNode();
      written.write(target, config.put("_class_name", "TestTransformer2DModel"));
    }
  }

  /// Stores linear layers in a scheme, with random scales and ranks beside them if it has such.
  ///
  /// @param source a directory with plain weights
  /// @param quantization of the new `config.json`, if any
  public static void quantized(
      Path source, Path target, QuantScheme scheme, Optional<ObjectNode> quantization)
      throws IOException {
    try (OpenModel model = OpenModel.open(source);
        RewrittenComponent rewritten = new RewrittenComponent()) {
      for (LogicalTensor tensor : model.tensors().values()) {
        TensorInfo info = ((LogicalTensor.Dense) tensor).info();
        MemorySegment data = model.checkpoint().data(info);
        boolean isLayer = info.shape().rank() == 2 && info.shape().last() % 64 == 0;
        if (isLayer && info.name().endsWith(".weight")) {
          rewritten.store(info.name(), scheme, info.shape(), info.dtype(), data);
        } else {
          rewritten.put(info.name(), info.dtype(), info.shape(), data);
        }
      }
      ObjectNode config = model.config().orElseThrow().deepCopy();
      quantization.ifPresent(json -> config.set("quantization_config", json));
      rewritten.write(target, config);
    }
  }

  /// Stores what the weights of a component decode to, in float32.
  public static void dense(Path source, Path target) throws IOException {
    try (OpenModel model = OpenModel.open(source);
        RewrittenComponent rewritten = new RewrittenComponent()) {
      for (LogicalTensor tensor : model.tensors().values()) {
        switch (tensor) {
          case LogicalTensor.Dense(TensorInfo info) ->
              rewritten.put(info.name(), info.dtype(), info.shape(), model.checkpoint().data(info));
          case LogicalTensor.Quantized weight -> {
            QuantizedTensor values = weight.tensor();
            long count = values.shape().elements();
            MemorySegment floats = rewritten.arena.allocate(4 * count, 4);
            values.scheme().decoder(values).decode(0, count, floats, DType.F32);
            rewritten.put(weight.name(), DType.F32, values.shape(), floats);
          }
        }
      }
      ObjectNode config = model.config().orElseThrow().deepCopy();
      config.remove("quantization_config");
      rewritten.write(target, config);
    }
  }

  private void put(String name, DType type, Shape shape, MemorySegment data) {
    specs.add(new TensorSpec(name, type, shape));
    bytes.add(data);
  }

  private void store(
      String name, QuantScheme scheme, Shape shape, DType type, MemorySegment source) {
    WeightEncoder encoder =
        scheme instanceof SvdQuant svd
            ? svd.encoder(shape, type, branch(shape, svd.rank(), name), arena)
            : scheme.encoder(shape, type, arena);
    long count = shape.elements();
    if (encoder.surveys()) {
      encoder.survey(0, count, source);
    }
    MemorySegment codes = arena.allocate(scheme.codeBytes(count), 4);
    encoder.encode(0, count, source, codes);
    Map<Part, MemorySegment> parts = new EnumMap<>(encoder.finish());
    parts.put(Part.CODES, codes);
    QuantStorage storage = QuantStorages.choose(scheme, shape);
    storage.layout(scheme).arrangeInPlace(codes);
    for (StoredTensor piece : storage.plan(name, scheme, shape, type)) {
      switch (piece.content()) {
        case StoredTensor.PartContent part ->
            put(
                piece.name(),
                part.dtype(),
                part.shape(),
                Optional.ofNullable(parts.get(part.part())).orElseThrow());
        case StoredTensor.Constant constant -> {
          MemorySegment text = arena.allocate(constant.bytes().size());
          for (int i = 0; i < constant.bytes().size(); i++) {
            text.set(JAVA_BYTE, i, constant.bytes().get(i));
          }
          put(piece.name(), constant.dtype(), constant.shape(), text);
        }
        case StoredTensor.Document _ -> throw new AssertionError(piece);
      }
    }
  }

  private static SvdBranch branch(Shape shape, int rank, String name) {
    Random random = new Random(name.hashCode());
    float[] scale = gaussian((int) shape.dim(1), random);
    for (int i = 0; i < scale.length; i++) {
      scale[i] = (float) Math.exp(0.7 * scale[i]);
    }
    float[] up = gaussian((int) shape.dim(0) * rank, random);
    float[] down = gaussian(rank * (int) shape.dim(1), random);
    for (int i = 0; i < down.length; i++) {
      down[i] *= 0.02f; // about as large as the weights
    }
    return SvdBranch.of(shape, scale, up, down);
  }

  private static float[] gaussian(int count, Random random) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private void write(Path directory, ObjectNode config) throws IOException {
    Files.createDirectories(directory);
    Files.writeString(
        directory.resolve("config.json"), new ObjectMapper().writeValueAsString(config));
    Path file = directory.resolve("diffusion_pytorch_model.safetensors");
    SafetensorsLayout layout = SafetensorsLayout.plan(specs, List.of(), Map.of());
    try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout)) {
      for (int i = 0; i < specs.size(); i++) {
        writer.write(specs.get(i).name(), 0, bytes.get(i));
      }
      writer.finish();
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
