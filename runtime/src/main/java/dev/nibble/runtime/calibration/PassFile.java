package dev.nibble.runtime.calibration;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.calibration.CalibratedLayer;
import dev.nibble.formats.calibration.CalibrationWriter.Sums;
import dev.nibble.formats.calibration.LayerTable;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// Where a pass over all prompts stands: how many prompts are in, the vectors and samples, and
/// those rows of Hessians that the pass sums. A safetensors file that is replaced as a whole, so
/// that it holds one moment whenever the process ends.
final class PassFile implements AutoCloseable {
  private static final String FORMAT = "nibble.calibration.pass";
  private static final String GRAM = ".gram";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path path;
  private final SafetensorsCheckpoint checkpoint;

  private PassFile(Path path, SafetensorsCheckpoint checkpoint) {
    this.path = path;
    this.checkpoint = checkpoint;
  }

  /// Rows of the Hessian of an input.
  record Slice(String input, int features, int begin, int end) {}

  // ---- writing

  /// Writes the state between two prompts.
  ///
  /// @param prompts that are in
  static void write(Path path, RunIdentity run, int prompts, CalibrationRecorder recorder)
      throws IOException {
    List<TensorSpec> specs = new ArrayList<>();
    ArrayNode slices = JSON.createArrayNode();
    for (RecordedInput input : recorder.inputs()) {
      slices
          .addObject()
          .put("input", input.name())
          .put("features", input.features())
          .put("begin", input.begin())
          .put("end", input.end());
      specs.addAll(specs(input));
    }
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("format", FORMAT);
    metadata.put("run", run.text());
    metadata.put("prompts", Integer.toString(prompts));
    metadata.put("layers", LayerTable.text(recorder.layers()));
    metadata.put("slices", slices.toString());
    SafetensorsLayout layout = SafetensorsLayout.plan(specs, List.of(), metadata);
    try (PendingOutput output = PendingOutput.file(path, true)) {
      try (SafetensorsWriter writer = SafetensorsWriter.create(output.path(), layout, path)) {
        for (RecordedInput input : recorder.inputs()) {
          write(writer, input, recorder);
        }
        writer.finish();
      }
      output.commit();
    }
  }

  private static List<TensorSpec> specs(RecordedInput input) {
    String name = input.name();
    Shape row = Shape.of(input.features());
    long samples = input.sums().sample().length / input.features();
    List<TensorSpec> specs = new ArrayList<>();
    specs.add(new TensorSpec(name + ".count", DType.I64, Shape.of(1)));
    specs.add(new TensorSpec(name + ".abs_sum", DType.F64, row));
    specs.add(new TensorSpec(name + ".abs_max", DType.F32, row));
    specs.add(new TensorSpec(name + ".square_sum", DType.F64, row));
    specs.add(new TensorSpec(name + ".sample", DType.F32, Shape.of(samples, input.features())));
    input.gram().ifPresent(sum -> specs.add(new TensorSpec(name + GRAM, DType.F32, sum.shape())));
    return specs;
  }

  private static void write(
      SafetensorsWriter writer, RecordedInput input, CalibrationRecorder recorder)
      throws IOException {
    String name = input.name();
    Sums sums = input.sums();
    put(writer, name + ".count", MemorySegment.ofArray(new long[] {sums.count()}));
    put(writer, name + ".abs_sum", MemorySegment.ofArray(sums.absSum()));
    put(writer, name + ".abs_max", MemorySegment.ofArray(sums.absMax()));
    put(writer, name + ".square_sum", MemorySegment.ofArray(sums.squareSum()));
    put(writer, name + ".sample", MemorySegment.ofArray(sums.sample()));
    if (input.gram().isPresent()) {
      float[] gram = recorder.values(input.gram().get());
      put(writer, name + GRAM, MemorySegment.ofArray(gram));
    }
  }

  private static void put(SafetensorsWriter writer, String tensor, MemorySegment bytes)
      throws IOException {
    writer.write(tensor, 0, bytes);
  }

  // ---- reading

  /// Opens the state that a run left. The caller closes.
  ///
  /// @throws dev.nibble.formats.NibbleException if it is of another run, or damaged
  static PassFile open(Path path, RunIdentity run) throws IOException {
    SafetensorsCheckpoint checkpoint = checkpoint(path);
    try {
      PassFile file = new PassFile(path, checkpoint);
      if (!FORMAT.equals(checkpoint.metadata().get("format"))) {
        throw file.damaged("state of a calibration");
      }
      run.requireSame(path, file.metadata("run"));
      return file;
    } catch (RuntimeException e) {
      checkpoint.close();
      throw e;
    }
  }

  // What opens it gives it to a PassFile, whose close() closes it.
  @SuppressWarnings("MustBeClosedChecker")
  private static SafetensorsCheckpoint checkpoint(Path path) throws IOException {
    try {
      return SafetensorsCheckpoint.open(path);
    } catch (FormatException e) { // whose cure is for files that were fetched
      throw damaged(path, "state of a calibration");
    }
  }

  private FormatException damaged(String expected) {
    return damaged(path, expected);
  }

  private static FormatException damaged(Path path, String expected) {
    return new FormatException(
        Where.in(path), expected, "something else: --restart drops it and begins anew");
  }

  private String metadata(String key) {
    String value = checkpoint.metadata().get(key);
    if (value == null) {
      throw damaged("metadata '" + key + "'");
    }
    return value;
  }

  private JsonNode json(String key) {
    try {
      return JSON.readTree(metadata(key));
    } catch (JsonProcessingException e) {
      throw damaged("metadata '" + key + "' in JSON");
    }
  }

  /// Prompts that are in.
  int prompts() {
    try {
      return Integer.parseInt(metadata("prompts"));
    } catch (NumberFormatException e) {
      throw damaged("a number of prompts");
    }
  }

  SequencedMap<String, CalibratedLayer> layers() {
    return LayerTable.read(path, metadata("layers"));
  }

  List<Slice> slices() {
    List<Slice> slices = new ArrayList<>();
    for (JsonNode slice : json("slices")) {
      slices.add(
          new Slice(
              slice.path("input").asText(),
              slice.path("features").asInt(),
              slice.path("begin").asInt(),
              slice.path("end").asInt()));
    }
    return slices;
  }

  Sums sums(String input) {
    return new Sums(
        data(input + ".count").get(LittleEndian.LONG, 0),
        data(input + ".abs_sum").toArray(ValueLayout.JAVA_DOUBLE_UNALIGNED),
        data(input + ".abs_max").toArray(ValueLayout.JAVA_FLOAT_UNALIGNED),
        data(input + ".square_sum").toArray(ValueLayout.JAVA_DOUBLE_UNALIGNED),
        data(input + ".sample").toArray(ValueLayout.JAVA_FLOAT_UNALIGNED));
  }

  /// The rows of an input's Hessian that this pass summed, F32 `[end - begin, features]`; of each
  /// row what is up to the diagonal.
  MemorySegment gram(String input) {
    return data(input + GRAM);
  }

  private MemorySegment data(String name) {
    TensorInfo tensor = checkpoint.tensors().get(name);
    if (tensor == null) {
      throw damaged("a tensor '" + name + "'");
    }
    return checkpoint.data(tensor);
  }

  @Override
  public void close() {
    checkpoint.close();
  }
}
