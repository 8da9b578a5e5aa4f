package dev.nibble.runtime.calibration;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.calibration.CalibratedLayer;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;

/// Listens at the linear layers of one component of a pipeline. Given to {@link
/// dev.nibble.runtime.Pipeline#open}, it puts itself before the backend; it belongs to that one
/// pipeline, closes with it, and records while {@link StatisticsRun} has it do so.
///
/// Layers that take the very same tensor share an input, named by the first of them. Which do is
/// learned from the first prompt and must hold for all.
///
/// Hessians take memory where the model computes: as many of their rows are summed in a pass over
/// all prompts as the bound on memory lets in, in the order in which the model uses the inputs, and
/// the others in further passes. For one thread.
public final class CalibrationRecorder implements UnaryOperator<Backend> {
  private final InputListener listener = new Listener();
  private final String component;
  private final int samples;
  private final boolean hessians;
  private final OptionalLong memory;
  private final SequencedMap<String, CalibratedLayer> layers = new LinkedHashMap<>();
  private final SequencedMap<String, RecordedInput> inputs = new LinkedHashMap<>();
  private Optional<Backend> backend = Optional.empty();
  private Optional<Ops> ops = Optional.empty();
  private Mode mode = Mode.OFF;
  private long budget;
  private long left;

  /// What to do with what comes by.
  private enum Mode {
    OFF,
    /// A layer that is not known is taken in.
    LEARN,
    /// All there is to record.
    RECORD,
    /// Only rows of Hessians: the vectors were recorded in the first pass.
    HESSIANS
  }

  /// @param component `transformer` or `text_encoder`
  /// @param samples rows of each input to keep, 0 for none
  /// @param hessians whether to record Hessians
  /// @param memory most bytes that their sums may take at a time; half of what is free if empty
  public CalibrationRecorder(String component, int samples, boolean hessians, OptionalLong memory) {
    this.component = component;
    this.samples = samples;
    this.hessians = hessians;
    this.memory = memory;
  }

  String component() {
    return component;
  }

  int samples() {
    return samples;
  }

  boolean hessians() {
    return hessians;
  }

  /// The backend for a pipeline that is to be recorded.
  ///
  /// @throws IllegalStateException if it records another already
  @Override
  public Backend apply(Backend inner) {
    if (backend.isPresent()) {
      throw new IllegalStateException("a recorder is of one pipeline");
    }
    backend = Optional.of(inner);
    return new RecordingBackend(inner, component, listener);
  }

  /// Every layer by its module path, in the order in which the model runs them.
  SequencedMap<String, CalibratedLayer> layers() {
    return Collections.unmodifiableSequencedMap(layers);
  }

  List<RecordedInput> inputs() {
    return List.copyOf(inputs.values());
  }

  /// Takes in what an earlier run learned.
  void restore(SequencedMap<String, CalibratedLayer> known, List<RecordedInput> earlier) {
    layers.putAll(known);
    earlier.forEach(input -> inputs.put(input.name(), input));
  }

  /// Begins a pass over all prompts: the first, which learns the layers, if none is known.
  void startPass() {
    release();
    budget = memory.isPresent() ? memory.getAsLong() : backend().freeBytes() / 2;
    left = budget;
    if (inputs.isEmpty()) {
      mode = Mode.LEARN;
      return;
    }
    mode = Mode.HESSIANS;
    inputs.values().forEach(input -> allot(input, input.end()));
  }

  /// Goes on with a pass whose rows of Hessians were allotted before.
  ///
  /// @param isFirst whether it is the first pass
  void resumePass(boolean isFirst) {
    mode = isFirst ? Mode.RECORD : Mode.HESSIANS;
  }

  /// Whether all rows of all Hessians are summed when this pass is done.
  boolean isComplete() {
    return !hessians || inputs.values().stream().allMatch(input -> input.end() == input.features());
  }

  /// A prompt is done; from now on every layer is known.
  void endPrompt() {
    if (mode == Mode.LEARN) {
      mode = Mode.RECORD;
    }
  }

  /// Records nothing from now on.
  void stop() {
    mode = Mode.OFF;
  }

  /// What the backend in front of the model tells.
  private final class Listener implements InputListener {
    @Override
    public void see(NamedWeight weight, Tensor x, Ops session) {
      record(weight, x, session);
    }

    @Override
    public void close() {
      stop();
      ops.ifPresent(Ops::close);
      ops = Optional.empty();
    }
  }

  private void record(NamedWeight weight, Tensor x, Ops session) {
    if (mode == Mode.OFF || x.elements() == 0) {
      return;
    }
    CalibratedLayer layer = layers.get(weight.module());
    if (layer == null) {
      layer = learn(weight, x);
    }
    RecordedInput input = input(layer.input());
    if (layer.input().equals(weight.module())) {
      input.add(x, session, mode != Mode.HESSIANS);
    } else if (!input.isCurrent(x)) {
      throw new IllegalStateException(
          "layer '%s' shared the input of '%s' in the first prompt and does not now"
              .formatted(weight.module(), layer.input()));
    }
  }

  private RecordedInput input(String name) {
    RecordedInput input = inputs.get(name);
    if (input == null) {
      throw new IllegalStateException("no input '" + name + "'");
    }
    return input;
  }

  private CalibratedLayer learn(NamedWeight weight, Tensor x) {
    if (mode != Mode.LEARN) {
      throw new IllegalStateException(
          "layer '%s' did not run in the first prompt, but does now".formatted(weight.module()));
    }
    Optional<RecordedInput> shared =
        inputs.values().stream().filter(input -> input.isCurrent(x)).findFirst();
    RecordedInput input =
        shared.orElseGet(() -> {
          var made = new RecordedInput(weight.module(), weight.inFeatures(), samples);
          allot(made, 0);
          inputs.put(made.name(), made);
          return made;
        });
    CalibratedLayer layer =
        new CalibratedLayer(input.name(), weight.outFeatures(), weight.inFeatures());
    layers.put(weight.module(), layer);
    return layer;
  }

  /// Gives an input as many rows of its Hessian as there is memory for.
  ///
  /// @param done rows that are summed already
  private void allot(RecordedInput input, int done) {
    int features = input.features();
    int rows = features - done;
    if (!hessians || rows == 0) {
      input.startPass(done, done, Optional.empty());
      return;
    }
    long row = (long) Float.BYTES * features;
    requireRoom(input, row);
    long most = Math.min(left / row, Integer.MAX_VALUE / 2 / features);
    if (rows > most) {
      rows = (int) most / Ops.GRAM_ROWS * Ops.GRAM_ROWS;
    }
    left -= rows * row;
    input.startPass(
        done,
        done + rows,
        rows == 0 ? Optional.empty() : Optional.of(sum(new float[rows * features], rows)));
  }

  /// Where not even all of the memory holds the least that a pass records, no number of passes
  /// would help.
  private void requireRoom(RecordedInput input, long row) {
    int least = Math.min(Ops.GRAM_ROWS, input.features());
    if (budget < row * least) {
      throw new NibbleException(
          "--memory: %,d bytes do not hold %d rows of the Hessian of '%s': give %,d or more, or --no-hessian"
              .formatted(budget, least, input.name(), row * least));
    }
  }

  /// The sum that an earlier run had come to.
  Tensor sum(MemorySegment values, PassFile.Slice slice) {
    return sum(values.toArray(LittleEndian.FLOAT), slice.end() - slice.begin());
  }

  /// A sum that starts with these values.
  private Tensor sum(float[] values, int rows) {
    Tensor sum = ops().fromHost(values, rows, values.length / rows);
    // Sessions have streams of their own, which do not wait for this one.
    ops().toHost(sum.rows(0, 1));
    return sum;
  }

  /// The rows of an input's Hessian that this pass sums.
  float[] values(Tensor sum) {
    return ops().toHost(sum);
  }

  /// Gives the memory of the last pass back.
  private void release() {
    for (RecordedInput input : inputs.values()) {
      input.gram().ifPresent(ops()::release);
      input.startPass(input.end(), input.end(), Optional.empty());
    }
  }

  private Backend backend() {
    return backend.orElseThrow(() -> new IllegalStateException("no pipeline to record"));
  }

  private Ops ops() {
    if (ops.isEmpty()) {
      ops = Optional.of(backend().newOps("calibration"));
    }
    return ops.get();
  }
}
