package dev.nibble.runtime.calibration;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.runtime.Cancellation;
import dev.nibble.runtime.LoadListener;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.OptionalLong;

/// A way to record the miniature's transformer.
///
/// @param options of the pipeline
/// @param memory for Hessians
/// @param stopAfter prompts, over all passes, after which it is interrupted; -1 for never
record TestRun(PipelineOptions options, OptionalLong memory, int stopAfter) {
  static final Path MODEL = Fixtures.path("models/emoji-zimage");

  /// On two threads, in one pass.
  static final TestRun PLAIN =
      new TestRun(PipelineOptions.defaults().withThreads(2), OptionalLong.empty(), -1);

  TestRun with(PipelineOptions other) {
    return new TestRun(other, memory, stopAfter);
  }

  TestRun withThreads(int count) {
    return with(options.withThreads(count));
  }

  TestRun withMemory(long bytes) {
    return new TestRun(options, OptionalLong.of(bytes), stopAfter);
  }

  TestRun stoppedAfter(int prompts) {
    return new TestRun(options, memory, prompts);
  }

  /// Records as the command does.
  StatisticsSummary record(Path output, StatisticsRequest request) throws IOException {
    CalibrationRecorder recorder = new CalibrationRecorder("transformer", 50, true, memory);
    try (Pipeline pipeline =
            Pipeline.open(MODEL, options, LoadListener.NONE, new Cancellation(), recorder);
        PendingOutput pending = PendingOutput.file(output, true)) {
      Path state = StatisticsRun.folder(output);
      StatisticsRun run = StatisticsRun.begin(pipeline, recorder, request, state);
      int[] drawn = {0};
      int[] promised = {1};
      run.record((picture, position, steps) -> {
        promised[0] = drawn[0] == 1 ? position.passes() : promised[0];
        if (drawn[0]++ == stopAfter) {
          // In the middle of a picture, whose rows are in the sums already.
          Cancellation cancellation = new Cancellation();
          pipeline.generate(picture, _ -> cancellation.cancel(), cancellation);
        }
        pipeline.generate(picture, steps, new Cancellation());
      });
      StatisticsSummary summary = run.write(pending);
      assertEquals(summary.passes(), promised[0]);
      pending.commit();
      StatisticsRun.drop(state);
      return summary;
    }
  }
}
