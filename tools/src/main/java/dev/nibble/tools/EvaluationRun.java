package dev.nibble.tools;

import dev.nibble.runtime.GeneratedImage;
import dev.nibble.runtime.Generation;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.RuntimeReport;
import dev.nibble.runtime.image.ImageMetrics;
import dev.nibble.tools.report.Evaluation;
import dev.nibble.tools.report.Evaluation.Distance;
import dev.nibble.tools.report.Evaluation.Picture;
import dev.nibble.tools.report.Evaluation.Prompt;
import dev.nibble.tools.report.Evaluation.Subject;
import dev.nibble.tools.report.LayerErrors;
import dev.nibble.tools.report.PictureTable;
import dev.nibble.tools.report.Thumbnail;
import dev.nibble.tools.report.TransformerSize;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/// Draws several prompts with a pipeline's own transformer and then with each of some others, and
/// measures these pictures against those. One pipeline is open at a time; of the reference its
/// latents and pictures are kept, of the others thumbnails.
final class EvaluationRun {
  /// The name of the pipeline's own transformer.
  static final String REFERENCE = "reference";

  private final Session session;
  private final boolean quiet;
  private final Path directory;
  private final PipelineOptions options;
  private final GenerationRequest request;
  private final List<Prompt> prompts = new ArrayList<>();
  private final List<GeneratedImage> references = new ArrayList<>();
  private final List<Subject> subjects = new ArrayList<>();
  private String backend = "";

  /// A transformer to measure.
  ///
  /// @param name in reports
  /// @param transformer directory or file
  /// @param layers errors of its layers, where its conversion measured them
  record Candidate(String name, Path transformer, Optional<LayerErrors> layers) {}

  /// @param request what all pictures share; its seed is that of the first prompt, the next one's
  ///   is one more
  EvaluationRun(
      Session session,
      boolean quiet,
      Path directory,
      PipelineOptions options,
      GenerationRequest request,
      List<String> texts) {
    this.session = session;
    this.quiet = quiet;
    this.directory = directory;
    this.options = options;
    this.request = request;
    for (int i = 0; i < texts.size(); i++) {
      prompts.add(new Prompt(texts.get(i), request.seed() + i));
    }
  }

  /// Draws everything.
  ///
  /// @param candidates at least one
  Evaluation evaluate(List<Candidate> candidates) throws IOException {
    for (Candidate candidate : candidates) {
      // What does not fit should not be found out after an hour of drawing.
      open(candidate.name(), options.withTransformer(candidate.transformer())).close();
    }
    int pictures = PictureTable.pictures(prompts.size(), 1 + candidates.size());
    draw(REFERENCE, options, Optional.empty(), pictures);
    for (Candidate candidate : candidates) {
      draw(
          candidate.name(),
          options.withTransformer(candidate.transformer()),
          candidate.layers(),
          pictures);
    }
    return new Evaluation(directory, backend, prompts, settings(), subjects);
  }

  private Pipeline open(String name, PipelineOptions opened) throws IOException {
    try (StepBar bar = new StepBar(session, name, quiet)) {
      return Drawing.open(directory, opened, bar, session);
    }
  }

  /// @param pictures on the page, which bounds the size of one
  private void draw(String name, PipelineOptions opened, Optional<LayerErrors> layers, int pictures)
      throws IOException {
    try (Pipeline pipeline = open(name, opened)) {
      Drawing.warmUp(
          pipeline,
          request.withPrompt(prompts.getFirst().text()),
          subjects.isEmpty(),
          quiet,
          session);
      List<Picture> drawn = new ArrayList<>();
      for (int i = 0; i < prompts.size(); i++) {
        drawn.add(draw(pipeline, name, i, pictures));
      }
      RuntimeReport.Component transformer =
          pipeline.components().stream()
              .filter(component -> component.name().equals("transformer"))
              .findFirst()
              .orElseThrow();
      TransformerSize size = TransformerSize.of(name, Path.of(transformer.path()), transformer);
      subjects.add(new Subject(size, drawn, layers));
    }
  }

  private Picture draw(Pipeline pipeline, String name, int prompt, int pictures) {
    Prompt what = prompts.get(prompt);
    Generation generation;
    String label = "%s, prompt %d/%d".formatted(name, prompt + 1, prompts.size());
    try (StepBar bar = new StepBar(session, label, quiet)) {
      generation =
          Drawing.draw(
              pipeline, request.withPrompt(what.text()).withSeed(what.seed()), bar, session);
    }
    backend = generation.report().backend();
    GeneratedImage image = generation.images().getFirst();
    if (subjects.isEmpty()) {
      references.add(image);
    }
    RuntimeReport.Image took = generation.report().images().getFirst();
    return new Picture(
        Thumbnail.of(image.image(), pictures),
        (took.denoiseNanos() + took.decodeNanos()) / 1e9,
        subjects.isEmpty() ? Distance.NONE : distance(pipeline, references.get(prompt), image));
  }

  private static Distance distance(
      Pipeline pipeline, GeneratedImage reference, GeneratedImage image) {
    return new Distance(
        reference.latents().meanSquaredError(image.latents()),
        ImageMetrics.psnr(reference.image(), image.image()),
        ImageMetrics.ssim(reference.image(), image.image()),
        pipeline.perceptualDistance(reference.image(), image.image()));
  }

  private String settings() {
    SequencedMap<String, String> parameters = references.getFirst().parameters();
    return "%s steps, guidance %s, %s"
        .formatted(parameters.get("steps"), parameters.get("guidance"), parameters.get("size"));
  }
}
