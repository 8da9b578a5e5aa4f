package dev.nibble.tools;

import dev.nibble.formats.NibbleException;
import dev.nibble.formats.io.IoErrors;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.cache.MagCacheCalibration;
import dev.nibble.runtime.cache.StepCache;
import dev.nibble.runtime.cache.TeaCacheCalibration;
import dev.nibble.tools.report.Calibration;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;

/// Measures a model for TeaCache and MagCache.
record CacheCalibration(Session session, CalibrationJob job) {
  void run(PipelineOptions options, PictureFiles places) throws IOException {
    TeaCacheCalibration tea = new TeaCacheCalibration();
    MagCacheCalibration mag = new MagCacheCalibration();
    try (Pipeline opened = open(options)) {
      measure(opened, tea, "for TeaCache");
      measure(opened, mag, "for MagCache");
    }
    Calibration calibration =
        new Calibration(
            job.directory(),
            job.pictures().prompts(),
            job.texts().size(),
            tea.observations(),
            fit(tea),
            mag.ratios());
    write(places.of(job.output()), calibration);
    places.commit();
    if (job.json()) {
      calibration.json(job.output(), session.out());
    } else if (!job.quiet()) {
      calibration.print(job.output(), session.out());
    }
  }

  private Pipeline open(PipelineOptions options) throws IOException {
    try (StepBar bar = new StepBar(session, "", job.quiet())) {
      return Drawing.open(job.directory(), options, bar, session);
    }
  }

  private void measure(Pipeline opened, StepCache recorder, String label) {
    for (int i = 0; i < job.texts().size(); i++) {
      GenerationRequest request = job.pictures().request(job.texts().get(i), i).withCache(recorder);
      String prompt = "%s, prompt %d/%d".formatted(label, i + 1, job.texts().size());
      try (StepBar bar = new StepBar(session, prompt, job.quiet())) {
        Drawing.draw(opened, request, bar, session);
      }
    }
  }

  private static List<Double> fit(TeaCacheCalibration tea) {
    try {
      return tea.fit().coefficients();
    } catch (IllegalStateException e) { // too few steps
      throw new NibbleException(String.valueOf(e.getMessage()), e);
    }
  }

  private static void write(PendingOutput place, Calibration calibration) throws IOException {
    try {
      Files.writeString(place.path(), calibration.file());
    } catch (IOException e) {
      throw IoErrors.at(place.target(), e);
    }
  }
}
