package dev.nibble.tools;

import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.Converter;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.GeneratedImage;
import dev.nibble.runtime.Generation;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.cache.NoCache;
import dev.nibble.runtime.cache.StepCache;
import dev.nibble.runtime.cache.StepCaches;
import dev.nibble.runtime.image.ImageMetrics;
import dev.nibble.runtime.image.RgbImage;
import dev.nibble.tools.report.Comparison;
import dev.nibble.tools.report.Comparison.Variant;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/// Draws one picture with several weights and caches. The weights are those of the pipeline's
/// transformer as it is and, if it is dense, converted to each scheme in a temporary folder.
final class ComparisonRun {
  private static final List<String> SCHEMES = List.of("nf4", "int8");
  private static final String DEFAULT_CACHE = "dbcache:F=1,B=0,threshold=0.08";

  private final Session session;
  private final boolean quiet;
  private final Path directory;
  private final PipelineOptions options;
  private final GenerationRequest request;
  private final List<Variant> variants = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();

  ComparisonRun(
      Session session,
      boolean quiet,
      Path directory,
      PipelineOptions options,
      GenerationRequest request) {
    this.session = session;
    this.quiet = quiet;
    this.directory = directory;
    this.options = options;
    this.request = request;
  }

  /// Draws everything.
  ///
  /// @param cache the rule of the second picture with each weights; `none` for no second picture,
  ///   {@link #DEFAULT_CACHE} if empty
  Comparison compare(Optional<StepCache> cache) throws IOException {
    List<StepCache> rules = rules(cache);
    Path transformer = draw("dense", options, rules);
    Optional<String> stored = storedSchemes(transformer);
    if (stored.isPresent()) {
      notes.add(
          "the transformer is quantized already (%s): it is compared as it is"
              .formatted(stored.get()));
      variants.replaceAll(variant -> variant.withWeights(stored.get()));
    } else {
      compareSchemes(transformer, rules);
    }
    return new Comparison(variants, notes);
  }

  private static List<StepCache> rules(Optional<StepCache> cache) throws IOException {
    NoCache none = new NoCache();
    StepCache rule = cache.isPresent() ? cache.get() : StepCaches.parse(DEFAULT_CACHE);
    return rule.equals(none) ? List.of(none) : List.of(none, rule);
  }

  private void compareSchemes(Path transformer, List<StepCache> rules) throws IOException {
    notes.add("nf4 and int8 are the transformer as quantize --nf4 and quantize --int8 write it");
    try (TemporaryFolder folder = TemporaryFolder.create()) {
      for (String scheme : SCHEMES) {
        Path converted = convert(transformer, scheme, folder.path().resolve(scheme));
        draw(scheme, options.withTransformer(converted), rules);
      }
    }
  }

  /// Draws with one set of weights, once a rule; the path of the transformer that took part.
  private Path draw(String weights, PipelineOptions opened, List<StepCache> rules)
      throws IOException {
    try (Pipeline pipeline = open(weights, opened)) {
      Drawing.warmUp(pipeline, request, variants.isEmpty(), quiet, session);
      for (StepCache rule : rules) {
        Generation generation;
        try (StepBar bar =
            new StepBar(
                session, weights + ", cache " + rule.spec().replaceFirst(":.*", ""), quiet)) {
          generation = Drawing.draw(pipeline, request.withCache(rule), bar, session);
        }
        add(weights, generation);
      }
    }
    return variants.getLast().transformer().map(part -> Path.of(part.path())).orElseThrow();
  }

  private Pipeline open(String weights, PipelineOptions opened) throws IOException {
    try (StepBar bar = new StepBar(session, weights, quiet)) {
      return Drawing.open(directory, opened, bar, session);
    }
  }

  private void add(String weights, Generation generation) {
    GeneratedImage image = generation.images().getFirst();
    RgbImage reference = variants.isEmpty() ? image.image() : variants.getFirst().image().image();
    variants.add(
        new Variant(
            weights,
            image,
            generation.report(),
            ImageMetrics.psnr(reference, image.image()),
            ImageMetrics.ssim(reference, image.image())));
  }

  private static Optional<String> storedSchemes(Path transformer) throws IOException {
    try (Checkpoint checkpoint = Checkpoints.open(transformer)) {
      Set<String> schemes = new TreeSet<>(StoredSchemes.of(checkpoint.tensors()).values());
      schemes.removeIf(label -> label.endsWith(" statistics"));
      return schemes.isEmpty() ? Optional.empty() : Optional.of(String.join("+", schemes));
    }
  }

  private Path convert(Path transformer, String scheme, Path target) throws IOException {
    ConversionRequest.Builder builder =
        ConversionRequest.builder(transformer).scheme(QuantSchemes.parse(scheme)).output(target);
    options.threads().ifPresent(builder::threads);
    Converter converter = new Converter();
    ConversionPlan plan = converter.plan(builder.build());
    try (ProgressBar bar = new ProgressBar(session, quiet)) {
      converter.run(plan, bar, session.interruption().conversion());
    }
    return plan.target();
  }
}
