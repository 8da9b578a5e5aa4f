package dev.nibble.converter;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.converter.RealShapes.Layer;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.calibration.CalibratedLayer;
import dev.nibble.formats.calibration.CalibrationHeader;
import dev.nibble.formats.calibration.CalibrationWriter;
import dev.nibble.formats.calibration.CalibrationWriter.Sums;
import dev.nibble.formats.calibration.CanonicalConfig;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Predicate;

/// A file of statistics as the runtime would record it of a fixture's transformer, but of made-up
/// inputs: {@link MadeUpLayer}'s, whose channels correlate and one of which stands out.
///
/// @param component that the file says it is of
/// @param config replaces the model's; empty for its own
/// @param layers which of its linear layers were recorded
/// @param hessians whether there are any
/// @param samples rows of each sample, at most {@link MadeUpLayer#SAMPLE_ROWS}
record TestStatistics(
    String component, String config, Predicate<String> layers, boolean hessians, int samples) {
  /// Everything of a transformer.
  static final TestStatistics ALL =
      new TestStatistics("transformer", "", _ -> true, true, MadeUpLayer.SAMPLE_ROWS);

  TestStatistics withComponent(String name) {
    return new TestStatistics(name, config, layers, hessians, samples);
  }

  TestStatistics withConfig(String text) {
    return new TestStatistics(component, text, layers, hessians, samples);
  }

  TestStatistics without(String part) {
    return new TestStatistics(
        component, config, module -> !module.contains(part), hessians, samples);
  }

  TestStatistics withoutHessians() {
    return new TestStatistics(component, config, layers, false, samples);
  }

  TestStatistics withSamples(int rows) {
    return new TestStatistics(component, config, layers, hessians, rows);
  }

  /// Writes the statistics of a model's directory.
  Path write(Path file, Path model) throws IOException {
    SequencedMap<String, CalibratedLayer> linears = linears(model);
    String text =
        config.isEmpty()
            ? CanonicalConfig.of(
                (ObjectNode)
                    new ObjectMapper().readTree(Files.readString(model.resolve("config.json"))))
            : config;
    CalibrationHeader header =
        new CalibrationHeader(component, text, linears, 2, 4, 0, 1, "uniform", "a test");
    SequencedMap<String, Layer> inputs = new LinkedHashMap<>();
    linears.forEach((module, layer) ->
        inputs.putIfAbsent(layer.input(), new Layer(layer.input(), layer.out(), layer.in())));
    List<CalibrationWriter.Input> announced =
        inputs.values().stream()
            .map(
                layer -> new CalibrationWriter.Input(layer.module(), layer.in(), samples, hessians))
            .toList();
    try (CalibrationWriter writer = CalibrationWriter.create(file, file, header, announced)) {
      for (Layer layer : inputs.values()) {
        write(writer, layer);
      }
      writer.finish();
    }
    return file;
  }

  private void write(CalibrationWriter writer, Layer layer) throws IOException {
    MadeUpLayer made = new MadeUpLayer(layer);
    Sums sums = made.sums();
    float[] sample = Arrays.copyOf(sums.sample(), samples * layer.in());
    writer.write(
        layer.module(),
        new Sums(sums.count(), sums.absSum(), sums.absMax(), sums.squareSum(), sample));
    if (hessians) {
      try (Arena arena = Arena.ofShared()) {
        MemorySegment hessian = arena.allocate(4L * layer.in() * layer.in(), 64);
        made.hessian(hessian);
        writer.writeHessian(layer.module(), hessian);
      }
    }
  }

  private SequencedMap<String, CalibratedLayer> linears(Path model) throws IOException {
    try (Checkpoint checkpoint = Checkpoints.open(model)) {
      SequencedMap<String, CalibratedLayer> linears = new LinkedHashMap<>();
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        boolean linear = tensor.shape().rank() == 2 && tensor.name().endsWith(".weight");
        String module = LayerDecisions.module(tensor.name());
        if (linear && layers.test(module)) {
          linears.put(
              module,
              new CalibratedLayer(
                  input(module), (int) tensor.shape().dim(0), (int) tensor.shape().dim(1)));
        }
      }
      // A file names an input by the first layer that takes it.
      SequencedMap<String, String> first = new LinkedHashMap<>();
      linears.forEach((module, layer) -> first.putIfAbsent(layer.input(), module));
      for (String module : new LinkedHashSet<>(linears.sequencedKeySet())) {
        linears.computeIfPresent(
            module,
            (_, layer) ->
                new CalibratedLayer(
                    String.valueOf(first.get(layer.input())), layer.out(), layer.in()));
      }
      return linears;
    }
  }

  /// Who takes the same input: the projections of an attention, gate and up, modulations of a time.
  private static String input(String module) {
    if (module.endsWith("_mod.1") || module.equals("norm_out.linear")) {
      return "time";
    }
    if (module.matches("(layers|noise_refiner)\\..*adaLN_modulation\\.0")) {
      return "time";
    }
    return module
        .replaceFirst("\\.to_[qkv]$", ".qkv")
        .replaceFirst("\\.add_[qkv]_proj$", ".added")
        .replaceFirst("\\.w[13]$", ".w13");
  }

  /// Overwrites an element of an input's Hessian and its mirror image.
  static void poke(Path file, String input, int row, int column, float value) throws IOException {
    TensorInfo hessian = hessian(file, input);
    long size = hessian.shape().dim(1);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      for (long element : new long[] {row * size + column, column * size + row}) {
        ByteBuffer bytes = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(0, value);
        channel.write(bytes, hessian.offset() + 4 * element);
      }
    }
  }

  /// The diagonal of an input's Hessian.
  static float[] diagonal(Path file, String input) throws IOException {
    try (Checkpoint checkpoint = Checkpoints.open(file)) {
      TensorInfo hessian = tensor(checkpoint, input);
      int size = (int) hessian.shape().dim(1);
      float[] diagonal = new float[size];
      for (int i = 0; i < size; i++) {
        diagonal[i] = checkpoint.data(hessian).get(LittleEndian.FLOAT, 4L * i * (size + 1));
      }
      return diagonal;
    }
  }

  private static TensorInfo hessian(Path file, String input) throws IOException {
    try (Checkpoint checkpoint = Checkpoints.open(file)) {
      return tensor(checkpoint, input);
    }
  }

  private static TensorInfo tensor(Checkpoint checkpoint, String input) {
    Map<String, TensorInfo> tensors = checkpoint.tensors();
    TensorInfo hessian = tensors.get(input + ".hessian");
    if (hessian == null) {
      throw new AssertionError(input + " is none of " + tensors.keySet());
    }
    return hessian;
  }
}
