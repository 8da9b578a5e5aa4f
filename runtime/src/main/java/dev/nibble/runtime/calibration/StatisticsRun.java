package dev.nibble.runtime.calibration;

import dev.nibble.formats.calibration.CalibrationHeader;
import dev.nibble.formats.calibration.CalibrationWriter;
import dev.nibble.formats.calibration.CalibrationWriter.Sums;
import dev.nibble.formats.calibration.CanonicalConfig;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.Pipeline;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Records the statistics of a component over some prompts, in as many passes as its Hessians need.
///
/// Between two prompts it keeps, in a folder beside the output, where it stands; a run of the same
/// request goes on from there, after whatever ended the one before. Saving takes a twentieth of the
/// time at most, so that the last few prompts may have to be drawn again.
///
/// ```java
/// var recorder = new CalibrationRecorder("transformer", 256, true, OptionalLong.empty());
/// try (Pipeline pipeline = Pipeline.open(dir, options, LoadListener.NONE, cancellation, recorder)) {
///   var run = StatisticsRun.begin(pipeline, recorder, request, StatisticsRun.folder(output));
///   run.record((picture, _) -> pipeline.generate(picture));
///   run.write(pending);
/// }
/// ```
public final class StatisticsRun {
  /// A save must be rarer than this many times what it costs.
  private static final int SAVE_COST = 20;

  private final Pipeline pipeline;
  private final CalibrationRecorder recorder;
  private final StatisticsRequest request;
  private final RunFolder folder;
  private final RunIdentity identity;

  /// The pass that runs, counted from 1, and how many of its prompts are in.
  private int pass;

  private int prompts;
  private long saved;
  private long saveNanos;

  private StatisticsRun(
      Pipeline pipeline,
      CalibrationRecorder recorder,
      StatisticsRequest request,
      RunFolder folder,
      RunIdentity identity) {
    this.pipeline = pipeline;
    this.recorder = recorder;
    this.request = request;
    this.folder = folder;
    this.identity = identity;
    saved = System.nanoTime();
  }

  /// Where a run is.
  ///
  /// @param pass over all prompts, counted from 1
  /// @param prompt counted from 0
  /// @param prompts of the pass
  public record Position(int pass, int prompt, int prompts) {}

  /// Draws a picture; what it looks like is of no interest.
  @FunctionalInterface
  public interface Drawer {
    void draw(GenerationRequest picture, Position position) throws IOException;
  }

  /// The folder in which a run keeps where it stands.
  public static Path folder(Path output) {
    return output.resolveSibling(output.getFileName() + ".partial");
  }

  /// Drops what an earlier run kept.
  public static void drop(Path folder) throws IOException {
    new RunFolder(folder).delete();
  }

  /// Begins, or goes on where an earlier run of the same request stopped.
  ///
  /// @param pipeline opened with the recorder
  /// @throws dev.nibble.formats.NibbleException if the folder keeps another run's state
  public static StatisticsRun begin(
      Pipeline pipeline, CalibrationRecorder recorder, StatisticsRequest request, Path folder)
      throws IOException {
    StatisticsRun run =
        new StatisticsRun(
            pipeline,
            recorder,
            request,
            new RunFolder(folder),
            RunIdentity.of(pipeline, recorder, request));
    run.restore();
    return run;
  }

  private void restore() throws IOException {
    List<PassFile> files = folder.open(identity, request.prompts().size());
    try {
      if (files.isEmpty()) {
        return;
      }
      PassFile last = files.getLast();
      pass = files.size();
      prompts = last.prompts();
      List<RecordedInput> inputs = new ArrayList<>();
      for (PassFile.Slice slice : last.slices()) {
        RecordedInput input =
            new RecordedInput(slice.input(), slice.features(), recorder.samples());
        input.restore(last.sums(slice.input()));
        boolean isSumming = slice.end() > slice.begin() && !isPassDone();
        input.startPass(
            slice.begin(),
            slice.end(),
            isSumming
                ? Optional.of(recorder.sum(last.gram(slice.input()), slice))
                : Optional.empty());
        inputs.add(input);
      }
      recorder.restore(last.layers(), inputs);
    } finally {
      files.forEach(PassFile::close);
    }
  }

  private boolean isPassDone() {
    return prompts == request.prompts().size();
  }

  /// Where it goes on; empty if it begins.
  public Optional<Position> resumed() {
    return pass == 0
        ? Optional.empty()
        : Optional.of(new Position(pass, prompts, request.prompts().size()));
  }

  /// Draws what is left to draw.
  ///
  /// @param drawer has the pipeline draw; what it throws ends the run, which a later one continues
  public void record(Drawer drawer) throws IOException {
    try {
      if (pass > 0 && !isPassDone()) {
        recorder.resumePass(pass == 1);
        finishPass(drawer);
      }
      while (pass == 0 || !recorder.isComplete()) {
        pass++;
        prompts = 0;
        recorder.startPass();
        finishPass(drawer);
      }
    } finally {
      recorder.stop();
    }
  }

  private void finishPass(Drawer drawer) throws IOException {
    int all = request.prompts().size();
    while (!isPassDone()) {
      drawer.draw(request.picture(prompts), new Position(pass, prompts, all));
      recorder.endPrompt();
      prompts++;
      if (isPassDone() || System.nanoTime() - saved >= SAVE_COST * saveNanos) {
        save();
      }
    }
  }

  private void save() throws IOException {
    long begin = System.nanoTime();
    PassFile.write(folder.file(pass), identity, prompts, recorder);
    saved = System.nanoTime();
    saveNanos = saved - begin;
  }

  /// Writes the statistics. {@link #record} must have ended; one Hessian at a time is in memory.
  public StatisticsSummary write(PendingOutput output) throws IOException {
    List<PassFile> passes = folder.open(identity, request.prompts().size());
    try (CalibrationWriter writer =
        CalibrationWriter.create(output.path(), output.target(), header(), outputs())) {
      long rows = 0;
      for (RecordedInput input : recorder.inputs()) {
        Sums sums = input.sums();
        writer.write(input.name(), sums);
        rows += sums.count();
        if (recorder.hessians()) {
          try (Arena arena = Arena.ofConfined()) {
            writer.writeHessian(
                input.name(), HessianAssembly.of(input.name(), input.features(), passes, arena));
          }
        }
      }
      writer.finish();
      return new StatisticsSummary(
          recorder.inputs().size(), recorder.layers().size(), rows, passes.size());
    } finally {
      passes.forEach(PassFile::close);
    }
  }

  private CalibrationHeader header() {
    return new CalibrationHeader(
        recorder.component(),
        CanonicalConfig.of(pipeline.config(recorder.component())),
        recorder.layers(),
        request.prompts().size(),
        request.steps(),
        request.seed(),
        request.guidance(),
        request.tool());
  }

  private List<CalibrationWriter.Input> outputs() {
    return recorder.inputs().stream()
        .map(input ->
            new CalibrationWriter.Input(
                input.name(),
                input.features(),
                input.sums().sample().length / input.features(),
                recorder.hessians()))
        .toList();
  }
}
