package dev.nibble.converter;

import static java.util.stream.Collectors.joining;

import dev.nibble.converter.ConversionRequest.OutputForm;
import dev.nibble.converter.internal.OutputRules;
import dev.nibble.formats.Text;
import dev.nibble.formats.calibration.CalibrationFile;
import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.io.JsonFile;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/// Plans the conversion of a whole pipeline directory: a plan for every component that is
/// quantized, copies of the rest.
public final class PipelinePlanner {
  /// How the names of components begin that are quantized unless told otherwise.
  private static final List<String> BY_DEFAULT = List.of("transformer", "unet", "text_encoder");

  private final PipelineRequest request;
  private final ModelDirectory.Pipeline pipeline;
  private final Path target;
  private final PipelineFiles files;
  private final SequencedMap<String, ConversionPlan> plans = new LinkedHashMap<>();
  private final SequencedMap<String, Long> kept = new LinkedHashMap<>();
  private final List<String> linears = new ArrayList<>();
  private final List<String> modules = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();

  private final Optional<String> calibrated;

  private PipelinePlanner(PipelineRequest request, ModelDirectory.Pipeline pipeline, Path target)
      throws IOException {
    this.request = request;
    this.pipeline = pipeline;
    this.target = target;
    this.files = new PipelineFiles(pipeline.path());
    this.calibrated = calibrated(request);
  }

  /// Whether a path is a pipeline's directory.
  public static boolean isPipeline(Path path) {
    return Files.isRegularFile(path.resolve("model_index.json"));
  }

  /// Plans a conversion. Reads headers and configurations; writes nothing.
  ///
  /// @throws ConversionException if the wish can't be met
  /// @throws dev.nibble.formats.NibbleException if a component can't be converted
  /// @throws IOException if a file is missing or can't be read; the message names it
  public static PipelinePlan plan(PipelineRequest request) throws IOException {
    Path source = request.each().source();
    if (!(ModelDirectory.inspect(source) instanceof ModelDirectory.Pipeline pipeline)) {
      throw new ConversionException(
          source
              + ": is one model, not a pipeline: --component and --format NAME=F name parts of"
              + " pipelines");
    }
    requireForAll(request.each());
    return new PipelinePlanner(request, pipeline, target(request)).plan();
  }

  /// Options that are about one model.
  private static void requireForAll(ConversionRequest each) {
    Path source = each.source();
    if (each.writesGguf()) {
      throw new ConversionException(
          source
              + ": is a pipeline of several models, and a GGUF file holds one: name a component's"
              + " directory, such as "
              + source.resolve("transformer"));
    }
    if (each.form() == OutputForm.FILE) {
      throw new ConversionException(
          source + ": is a pipeline of several models, which becomes a directory: -o DIR/");
    }
    if (each.config().isPresent() || each.family().isPresent()) {
      throw new ConversionException(
          source
              + ": is a pipeline of several models, and --config and --family are about one: name a"
              + " component's directory to use them");
    }
    if (each.names().filter(Dialect.ORIGINAL::equals).isPresent()) {
      throw new ConversionException(
          source
              + ": a pipeline directory has the names of its libraries: for original names, convert"
              + " one component with -o X.safetensors");
    }
  }

  private static Path target(PipelineRequest request) {
    Path source = request.each().source().toAbsolutePath().normalize();
    return request
        .each()
        .output()
        .map(output -> output.toAbsolutePath().normalize())
        .orElseGet(() -> source.resolveSibling(source.getFileName() + "-" + suffix(request)));
  }

  private static String suffix(PipelineRequest request) {
    String id =
        request.each().schemes().stream()
            .map(SchemeRule::scheme)
            .findFirst()
            .or(() -> request.components().values().stream().flatMap(Optional::stream).findFirst())
            .map(QuantScheme::id)
            .orElse("copy");
    String label = request.each().calibration().map(how -> "-" + how.label()).orElse("");
    return (id + label).replaceAll("[^A-Za-z0-9._-]", "-");
  }

  private PipelinePlan plan() throws IOException {
    requireComponents();
    files.addAll(pipeline.others());
    for (Path component : pipeline.components()) {
      planComponent(component);
    }
    for (Path directory : pipeline.settings()) {
      files.addTree(directory);
    }
    SkipRules rules = SkipRules.of(request.each());
    notes.addAll(rules.check(pipeline.path().toString(), linears, modules));
    if (plans.isEmpty()) {
      throw new ConversionException(
          pipeline.path()
              + ": no layer of any component would be quantized: relax --skip and --only, or name"
              + " the components with --component NAME=SCHEME");
    }
    noteStatistics(pipeline.components().stream().map(PipelinePlanner::name).toList());
    noteStrangers();
    noteLoader();
    requireFree();
    return new PipelinePlan(
        request, plans, kept, files.files(), files.bytes(), target, rules.matches(linears), notes);
  }

  /// The component that the statistics are of, if there are any.
  private static Optional<String> calibrated(PipelineRequest request) throws IOException {
    if (request.each().calibration().isEmpty()) {
      return Optional.empty();
    }
    try (CalibrationFile file = CalibrationFile.open(request.each().calibration().get().stats())) {
      return Optional.of(file.header().component());
    }
  }

  /// Statistics are of one component; the others are rounded to nearest.
  private Optional<Calibration> statistics(String component) {
    return calibrated.filter(component::equals).flatMap(_ -> request.each().calibration());
  }

  private void noteStatistics(List<String> components) {
    if (calibrated.isEmpty()) {
      return;
    }
    Path stats = request.each().calibration().orElseThrow().stats();
    String name = calibrated.get();
    if (!plans.containsKey(name)) {
      throw new ConversionException(
          "%s: is of component '%s', which %s: name a component's directory, or leave out --stats"
              .formatted(
                  stats,
                  Text.printable(name),
                  components.contains(name)
                      ? "is not quantized"
                      : pipeline.path() + " does not have"));
    }
    String others =
        plans.keySet().stream().filter(other -> !other.equals(name)).collect(joining(", "));
    if (!others.isEmpty()) {
      notes.add("rounded to nearest, for statistics are of %s: %s".formatted(name, others));
    }
  }

  private void requireComponents() {
    List<String> known = pipeline.components().stream().map(PipelinePlanner::name).toList();
    request.components().keySet().forEach(name -> requireKnown("--component", name, known));
    request.storages().keySet().forEach(name -> requireKnown("--format", name, known));
  }

  private void requireKnown(String option, String name, List<String> known) {
    if (!known.contains(name)) {
      throw new ConversionException(
          "%s: %s '%s' is none of its components with weights: %s"
              .formatted(pipeline.path(), option, name, String.join(", ", known)));
    }
  }

  private static String name(Path component) {
    return String.valueOf(component.getFileName());
  }

  private void planComponent(Path component) throws IOException {
    String name = name(component);
    List<SchemeRule> rules = rules(name);
    if (!rules.isEmpty()) {
      Optional<QuantStorage> storage =
          Optional.ofNullable(request.storages().get(name)).or(request.each()::storage);
      Planner.Part part =
          new Planner()
              .planPart(
                  request
                      .each()
                      .forPart(component, target.resolve(name), rules, storage, statistics(name)));
      linears.addAll(part.linears());
      modules.addAll(part.modules());
      if (part.plan().isPresent()) {
        plans.put(name, part.plan().get());
        part.plan().get().notes().stream()
            .filter(note -> !note.startsWith(PlanNotes.OPENS))
            .forEach(note -> notes.add(name + ": " + note));
        return;
      }
    }
    if (request.storages().containsKey(name)) {
      throw new ConversionException(
          "%s: --format %s=%s: no layer of it is quantized, so leave it out"
              .formatted(pipeline.path(), name, request.storages().get(name).id()));
    }
    kept.put(name, files.addComponent(component));
  }

  /// How a component is quantized; nothing: not at all.
  private List<SchemeRule> rules(String component) {
    Optional<QuantScheme> own = request.components().getOrDefault(component, Optional.empty());
    if (own.isPresent()) {
      List<SchemeRule> rules = new ArrayList<>();
      rules.add(new SchemeRule("*", own.get()));
      request.each().schemes().stream()
          .filter(rule -> !rule.pattern().equals("*"))
          .forEach(rules::add);
      return rules;
    }
    boolean byDefault =
        !request.components().containsKey(component)
            && BY_DEFAULT.stream().anyMatch(component::startsWith);
    return byDefault ? request.each().schemes() : List.of();
  }

  /// What opens the components opens the pipeline.
  private void noteLoader() throws IOException {
    boolean all =
        plans.values().stream()
            .allMatch(
                plan -> plan.notes().stream().anyMatch(note -> note.startsWith(PlanNotes.OPENS)));
    if (all) {
      String name =
          JsonFile.object(pipeline.path().resolve("model_index.json"))
              .path("_class_name")
              .asText("DiffusionPipeline");
      notes.add(
          PlanNotes.OPENS
              + "diffusers: "
              + name
              + ".from_pretrained(DIR, torch_dtype=torch.bfloat16)");
    }
  }

  private void noteStrangers() {
    if (!pipeline.strangers().isEmpty()) {
      notes.add(
          "not copied, for model_index.json does not name them: "
              + String.join(
                  ", ", pipeline.strangers().stream().map(PipelinePlanner::name).toList()));
    }
  }

  /// Writing here harms nothing: never the source, and what exists only with `force`, and then only
  /// an earlier output of the same kind.
  private void requireFree() throws IOException {
    OutputRules.requireApart(target, List.of(pipeline.path()));
    if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!request.each().force()) {
      throw new ConversionException(
          target + ": exists already: give --force to replace it, or choose another -o");
    }
    if (!Files.isDirectory(target)) {
      throw new ConversionException(
          target + ": is a file, not a directory: choose another -o, or remove it yourself");
    }
    Map<String, String> weights = new LinkedHashMap<>();
    plans.forEach((name, plan) -> {
      weights.put(name, plan.baseName());
      plan.copied().keySet().forEach(file -> weights.put(name + "/" + file, ""));
    });
    OutputRules.requireReplaceableTree(target, files.files().keySet(), weights);
  }
}
