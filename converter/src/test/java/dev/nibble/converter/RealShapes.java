package dev.nibble.converter;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.CalibratedLayer;
import dev.nibble.formats.calibration.CalibrationHeader;
import dev.nibble.formats.calibration.CalibrationWriter;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// Layers with the shapes of Z-Image and FLUX and statistics of their inputs, made up from a seed:
/// what `quantize --stats` is timed on, and its errors measured on, where no trained model of that
/// size is at hand. Weights and inputs are what {@link MadeUpLayer} says they are.
///
/// `./mvnw -q integration-test -Pbench-converter -DskipTests -pl fixtures,formats,converter
/// -Dbench=RealShapes -Dbench.args=FOLDER` writes `real.safetensors` (bfloat16, 270 MB) and
/// `real-stats.safetensors` (598 MB) into the folder.
final class RealShapes {
  /// Attention output, gate, down and modulation of a block of Z-Image, and a feed-forward of FLUX.
  static final List<Layer> LAYERS =
      List.of(
          new Layer("layers.0.attention.to_out.0", 3840, 3840),
          new Layer("layers.0.feed_forward.w1", 10240, 3840),
          new Layer("layers.0.feed_forward.w2", 3840, 10240),
          new Layer("layers.0.adaLN_modulation.0", 15360, 256),
          new Layer("transformer_blocks.0.ff.net.0.proj", 12288, 3072));

  private RealShapes() {}

  /// A linear layer without bias, with an input of its own.
  record Layer(String module, int out, int in) {}

  public static void main(String[] arguments) throws IOException {
    Path folder = Path.of(arguments[0]);
    writeWeights(folder.resolve("real.safetensors"), LAYERS);
    writeStatistics(folder.resolve("real-stats.safetensors"), LAYERS);
  }

  static void writeWeights(Path file, List<Layer> layers) throws IOException {
    List<TensorSpec> tensors =
        layers.stream()
            .map(layer ->
                new TensorSpec(
                    layer.module() + ".weight", DType.BF16, Shape.of(layer.out(), layer.in())))
            .toList();
    SafetensorsLayout layout = SafetensorsLayout.plan(tensors, List.of(), Map.of("format", "pt"));
    try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout)) {
      for (Layer layer : layers) {
        try (Arena arena = Arena.ofShared()) {
          MemorySegment weight = arena.allocate(2L * layer.out() * layer.in(), 64);
          new MadeUpLayer(layer).weight(weight);
          writer.write(layer.module() + ".weight", 0, weight);
        }
      }
      writer.finish();
    }
  }

  static void writeStatistics(Path file, List<Layer> layers) throws IOException {
    SequencedMap<String, CalibratedLayer> calibrated = new LinkedHashMap<>();
    layers.forEach(layer ->
        calibrated.put(
            layer.module(), new CalibratedLayer(layer.module(), layer.out(), layer.in())));
    CalibrationHeader header =
        new CalibrationHeader(
            "transformer", "{}", calibrated, 32, 20, 0, 0, "uniform", "made up by RealShapes");
    List<CalibrationWriter.Input> inputs =
        layers.stream()
            .map(layer ->
                new CalibrationWriter.Input(
                    layer.module(), layer.in(), MadeUpLayer.SAMPLE_ROWS, true))
            .toList();
    try (CalibrationWriter writer = CalibrationWriter.create(file, file, header, inputs)) {
      for (Layer layer : layers) {
        MadeUpLayer made = new MadeUpLayer(layer);
        writer.write(layer.module(), made.sums());
        try (Arena arena = Arena.ofShared()) {
          MemorySegment hessian =
              arena.allocate(LittleEndian.FLOAT.byteSize() * layer.in() * layer.in(), 64);
          made.hessian(hessian);
          writer.writeHessian(layer.module(), hessian);
        }
      }
      writer.finish();
    }
  }
}
