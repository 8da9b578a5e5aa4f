package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.DType;
import dev.nibble.formats.Text;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.quant.SvdQuant;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.StoredTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

/// Decides everything about a conversion from headers and configuration alone: what is quantized
/// and how, where the output goes, what its configuration says, and whether the loaders it is for
/// will read it as it was meant.
public final class Planner {
  /// What a plan is made of before its patterns are checked.
  ///
  /// @param source with the names of the output
  private record Draft(
      ConversionRequest request,
      PlanSource source,
      Recognition model,
      OutputTarget target,
      SkipRules rules,
      Layers layers,
      Optional<CalibrationPlanner> calibration,
      PlanNotes notes) {
    List<String> modules() {
      return source.names().stream().map(LayerDecisions::module).distinct().toList();
    }
  }

  /// A component of a pipeline.
  ///
  /// @param plan empty if no layer of it is quantized
  /// @param linears module paths of its linear layers
  /// @param modules of all its tensors
  record Part(Optional<ConversionPlan> plan, List<String> linears, List<String> modules) {}

  /// Plans a conversion. Reads headers and `config.json`; writes nothing.
  ///
  /// @throws ConversionException if the wish can't be met: a pattern without match, a mix that no
  ///   storage holds, an output that exists, a plan that a loader would read otherwise
  /// @throws dev.nibble.formats.FormatException if a source file is broken
  /// @throws dev.nibble.formats.UnsupportedException for a pipeline, or a source quantized already
  /// @throws IOException if a file is missing or can't be read; the message names it
  public ConversionPlan plan(ConversionRequest request) throws IOException {
    Draft draft = draft(request);
    draft.target().requireFree(draft.source(), request.force());
    Layers layers = draft.layers();
    draft
        .rules()
        .check(draft.source().label(), layers.linears(), draft.modules())
        .forEach(draft.notes()::add);
    if (layers.quantized().isEmpty() && !request.schemes().isEmpty()) {
      throw nothingToQuantize(draft.source(), layers);
    }
    return finish(draft);
  }

  /// Plans a component of a pipeline, whose patterns need not match in every component, and whose
  /// target is a part of a directory that its caller answers for.
  Part planPart(ConversionRequest request) throws IOException {
    Draft draft = draft(request);
    Layers layers = draft.layers();
    Optional<ConversionPlan> plan =
        layers.quantized().isEmpty() ? Optional.empty() : Optional.of(finish(draft));
    return new Part(plan, layers.linears(), draft.modules());
  }

  private static Draft draft(ConversionRequest request) throws IOException {
    for (SchemeRule rule : request.schemes()) {
      if (rule.scheme() instanceof SvdQuant svd) {
        throw new ConversionException(
            "--scheme %s: such weights are made from statistics: --scheme %s %s --stats FILE"
                .formatted(
                    svd.id(),
                    svd.residual().id(),
                    svd.rank() == 0 ? "--awq --format nibble" : "--svd=" + svd.rank()));
      }
    }
    if (request.schemes().isEmpty() && request.names().isEmpty() && !request.writesGguf()) {
      throw new IllegalArgumentException("a conversion needs a scheme, or other names");
    }
    Optional<ModelFamily> named = request.family().map(Planner::family);
    SkipRules rules = SkipRules.of(request);
    PlanNotes notes = new PlanNotes(request.calibration().isPresent());
    PlanSource asStored =
        PlanSource.open(request.source(), request.config(), request.allowRequantize());
    asStored.quantizedBy().ifPresent(notes::requantized);
    Recognition stored = recognise(named, asStored);
    boolean directory = OutputTarget.isDirectory(request, asStored, stored);
    Optional<Dialect> names =
        request
            .names()
            .or(() ->
                request.writesGguf() ? OutputNames.ofGguf(asStored, stored) : Optional.empty());
    PlanSource source = OutputNames.of(names, asStored, stored, directory, notes);
    Recognition model = recognise(named, source);
    OutputTarget target = OutputTarget.of(request, source, model, directory);
    if (target.directory()) {
      requireOwnConfiguration(source, model);
    }
    Optional<CalibrationPlanner> calibration =
        request.calibration().isPresent()
            ? Optional.of(
                CalibrationPlanner.open(
                    request.calibration().get(), request, source, model.family()))
            : Optional.empty();
    Layers decided = new Layers(new LayerDecisions(source, model, rules, request).decide());
    Layers layers = calibration.isPresent() ? calibration.get().schemes(decided) : decided;
    return new Draft(request, source, model, target, rules, layers, calibration, notes);
  }

  private ConversionPlan finish(Draft draft) throws IOException {
    PlanSource source = draft.source();
    OutputTarget target = draft.target();
    StorageChooser storages = new StorageChooser(draft.request().storage());
    List<Decision.Quantize> weights = draft.layers().quantized();
    Optional<QuantStorage> shared =
        target.directory() && !weights.isEmpty()
            ? Optional.of(storages.forDirectory(source.label(), weights))
            : Optional.empty();
    draft
        .calibration()
        .ifPresent(
            planner -> planner.requireReaders(shared.filter(_ -> source.config().isPresent())));
    Function<Decision.Quantize, QuantStorage> storage =
        weight -> shared.orElseGet(() -> storages.forWeight(weight));
    // A GGUF file has ggml's types as they are, and one storage.
    Layers layers = draft.request().writesGguf() ? draft.layers() : draft.layers().adapted(storage);
    Optional<String> configuration =
        target.directory()
            ? new DirectoryConfiguration(source, draft.model(), layers, shared)
                .json(draft.request().computeDtype(), draft.calibration())
            : Optional.empty();
    Optional<GgufPlanner> gguf =
        draft.request().writesGguf()
            ? Optional.of(
                new GgufPlanner(draft.request(), draft.model(), draft.rules(), draft.notes()))
            : Optional.empty();
    List<TensorPlan> tensors =
        gguf.isPresent()
            ? gguf.get().tensors(layers.decisions())
            : FileMarkers.add(tensors(draft, layers.decisions(), storage));
    draft
        .calibration()
        .ifPresent(planner -> planner.notes(calibrated(tensors)).forEach(draft.notes()::add));
    requireDistinct(source, tensors);
    draft.notes().describe(source, draft.model(), target, shared, layers.quantized(), gguf);
    return new ConversionPlan(
        draft.request(),
        source.files(),
        draft.model().family().id(),
        tensors,
        target.path(),
        target.directory(),
        target.baseName(),
        configuration,
        target.directory() ? copied(source) : Map.of(),
        gguf.map(GgufPlanner::file),
        draft.rules().matches(layers.linears()),
        draft.notes().lines());
  }

  private static Recognition recognise(Optional<ModelFamily> named, PlanSource source) {
    return named.isPresent()
        ? ModelFamilies.treatAs(named.get(), source.names())
        : ModelFamilies.recognise(source.names());
  }

  private static ModelFamily family(String id) {
    return ModelFamilies.byId(id)
        .orElseThrow(() ->
            new ConversionException(
                "--family '"
                    + id
                    + "' is unknown; known: "
                    + ModelFamilies.all().stream()
                        .map(ModelFamily::id)
                        .collect(Collectors.joining(", "))));
  }

  /// A directory promises that the class of its configuration opens it.
  private static void requireOwnConfiguration(PlanSource source, Recognition model) {
    for (ModelFamily family : ModelFamilies.all()) {
      boolean named = source.className().filter(family.diffusersClasses()::contains).isPresent();
      if (named
          && !family.equals(model.family())
          && !model.family().equals(ModelFamilies.unknown())) {
        throw new ConversionException(
            source.config().map(ModelConfig::path).orElse(source.path())
                + ": is the configuration of a "
                + family.label()
                + " model, but the weights are "
                + model.family().label()
                + ": name the model's own with --config FILE");
      }
    }
  }

  private static ConversionException nothingToQuantize(PlanSource source, Layers layers) {
    return new ConversionException(
        source.label()
            + (layers.linears().isEmpty()
                ? ": has no linear layer, so there is nothing to quantize"
                : ": all %d linear layers are kept, so there is nothing to quantize: relax --skip,"
                        .formatted(layers.linears().size())
                    + " --only or the --scheme patterns"));
  }

  private static int calibrated(List<TensorPlan> tensors) {
    return (int)
        tensors.stream()
            .filter(plan ->
                plan instanceof TensorPlan.Quantize weight && weight.calibrated().isPresent())
            .count();
  }

  private static List<TensorPlan> tensors(
      Draft draft, List<Decision> decisions, Function<Decision.Quantize, QuantStorage> storages) {
    List<TensorPlan> tensors = new ArrayList<>();
    for (Decision decision : decisions) {
      tensors.add(
          switch (decision) {
            case Decision.Keep keep -> kept(keep, draft);
            case Decision.Cast cast -> TensorPlan.in(cast.target(), cast.tensor(), cast.reason());
            case Decision.Quantize weight -> {
              QuantStorage storage = storages.apply(weight);
              yield quantized(
                  weight,
                  storage,
                  draft.calibration().flatMap(planner -> planner.of(weight, storage)));
            }
          });
    }
    return tensors;
  }

  /// A statistic of a quantized weight may not take the name of another tensor of the source.
  private static void requireDistinct(PlanSource source, List<TensorPlan> tensors) {
    Set<String> names = new HashSet<>();
    for (TensorPlan tensor : tensors) {
      List<String> stored =
          switch (tensor) {
            case TensorPlan.Keep keep -> List.of(keep.source().name());
            case TensorPlan.Cast cast -> List.of(cast.source().name());
            case TensorPlan.Rescale scaled -> List.of(scaled.source().name());
            case TensorPlan.Quantize weight ->
                weight.stored().stream().map(StoredTensor::name).toList();
          };
      for (String name : stored) {
        if (!names.add(name)) {
          throw new ConversionException(
              source.label()
                  + ": the output would hold two tensors '"
                  + Text.printable(name)
                  + "': is this checkpoint quantized already?");
        }
      }
    }
  }

  private static TensorPlan kept(Decision.Keep keep, Draft draft) {
    SourceTensor tensor = keep.tensor();
    DType target =
        draft
            .request()
            .keptDtype()
            .filter(_ -> tensor.dtype().isQuantizable())
            .orElse(tensor.dtype());
    return draft.calibration().filter(planner -> planner.isRescaled(tensor.name())).isPresent()
        ? new TensorPlan.Rescale(tensor, target, keep.reason() + ", absorbs input scales")
        : TensorPlan.in(target, tensor, keep.reason());
  }

  private static TensorPlan quantized(
      Decision.Quantize weight, QuantStorage storage, Optional<Calibrated> calibrated) {
    SourceTensor tensor = weight.tensor();
    return new TensorPlan.Quantize(
        tensor,
        weight.scheme(),
        storage,
        storage.plan(tensor.name(), weight.scheme(), tensor.shape(), tensor.dtype()),
        weight.reason(),
        calibrated);
  }

  private static Map<String, Path> copied(PlanSource source) {
    Map<String, Path> copied = new LinkedHashMap<>();
    source
        .directory()
        .ifPresent(directory ->
            directory.others().forEach(file -> copied.put(file.getFileName().toString(), file)));
    copied.remove(QuantizationConfig.GPTQ_FILE); // it tells how the source was quantized
    return copied;
  }
}
