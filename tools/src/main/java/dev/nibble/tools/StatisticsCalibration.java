package dev.nibble.tools;

import dev.nibble.converter.internal.Version;
import dev.nibble.runtime.GenerationCancelledException;
import dev.nibble.runtime.GenerationDefaults;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.StepListener;
import dev.nibble.runtime.calibration.CalibrationRecorder;
import dev.nibble.runtime.calibration.StatisticsRequest;
import dev.nibble.runtime.calibration.StatisticsRun;
import dev.nibble.runtime.calibration.StatisticsRun.Position;
import dev.nibble.runtime.calibration.StatisticsSummary;
import dev.nibble.tools.report.StatisticsReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// Records what a component's linear layers are given.
record StatisticsCalibration(Session session, CalibrationJob job, StatisticsOptions wishes) {
  void run(PipelineOptions options, PictureFiles places) throws IOException {
    long begin = System.nanoTime();
    Path folder = StatisticsRun.folder(job.output());
    if (wishes.restart()) {
      StatisticsRun.drop(folder);
    }
    CalibrationRecorder recorder = wishes.recorder();
    // A request that began anew for want of memory would be recorded twice.
    PipelineOptions refusing = options.withShortage(PipelineOptions.Shortage.REFUSE);
    StatisticsRequest request;
    StatisticsSummary summary;
    try (Pipeline pipeline = open(refusing, recorder)) {
      request = request(pipeline.defaults());
      StatisticsRun run = StatisticsRun.begin(pipeline, recorder, request, folder);
      run.resumed().ifPresent(this::tellResumed);
      try {
        run.record((picture, position, steps) -> {
          try (StepBar bar = new StepBar(session, label(position), job.quiet())) {
            StepListener both =
                progress -> {
                  steps.step(progress);
                  bar.step(progress);
                };
            Drawing.draw(pipeline, picture, both, session);
          }
        });
      } catch (GenerationCancelledException e) {
        tellKept(folder);
        throw e;
      }
      summary = run.write(places.of(job.output()));
    }
    places.commit();
    StatisticsRun.drop(folder);
    StatisticsReport report =
        new StatisticsReport(
            job.directory(),
            job.pictures().prompts(),
            wishes.component(),
            request,
            summary,
            Files.size(job.output()),
            System.nanoTime() - begin);
    if (job.json()) {
      report.json(job.output(), session.out());
    } else if (!job.quiet()) {
      report.print(job.output(), session.out());
    }
  }

  private Pipeline open(PipelineOptions options, CalibrationRecorder recorder) throws IOException {
    try (StepBar bar = new StepBar(session, "", job.quiet())) {
      return Pipeline.open(
          job.directory(), options, bar, session.interruption().generation(), recorder);
    }
  }

  private StatisticsRequest request(GenerationDefaults defaults) {
    return new StatisticsRequest(
        job.texts(),
        job.pictures().seed(),
        // What encodes a text runs before the first step.
        job.pictures()
            .steps()
            .orElse(wishes.component().equals("text_encoder") ? 1 : defaults.steps()),
        job.pictures().guidance().orElse(defaults.guidance()),
        job.pictures().size().map(PictureSize::width).orElse(defaults.width()),
        job.pictures().size().map(PictureSize::height).orElse(defaults.height()),
        wishes.weights(),
        "nibble " + Version.current());
  }

  private static String label(Position position) {
    String prompt = "prompt %d/%d".formatted(position.prompt() + 1, position.prompts());
    return position.passes() == 1
        ? prompt
        : "pass %d/%d, %s".formatted(position.pass(), position.passes(), prompt);
  }

  private void tellResumed(Position position) {
    tell(
        "going on with pass %d of %d after prompt %d of %d"
            .formatted(position.pass(), position.passes(), position.prompt(), position.prompts()));
  }

  private void tellKept(Path folder) {
    if (Files.isDirectory(folder)) {
      tell("%s keeps what is done: the same command goes on from there".formatted(folder));
    }
  }

  private void tell(String note) {
    if (!job.quiet()) {
      session.err().println("note: " + note);
      session.err().flush();
    }
  }
}
