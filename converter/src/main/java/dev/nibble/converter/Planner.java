package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.DType;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.internal.PythonJson;
import dev.nibble.formats.model.KeptInFp32;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.model.ModelFamily.Spelling;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.AwqStorage;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.ComfyStorage;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.GptqStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.PlainStorage;
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
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

/// Decides everything about a conversion from headers and configuration alone: what is quantized
/// and how, where the output goes, what its configuration says, and whether the loaders it is for
/// will read it as it was meant.
public final class Planner {
  /// Plans a conversion. Reads headers and `config.json`; writes nothing.
  ///
  /// @throws ConversionException if the wish can't be met: a pattern without match, a mix that no
  ///   storage holds, an output that exists, a plan that a loader would read otherwise
  /// @throws dev.nibble.formats.FormatException if a source file is broken
  /// @throws dev.nibble.formats.UnsupportedException for a pipeline, or a source quantized already
  /// @throws IOException if a file is missing or can't be read; the message names it
  public ConversionPlan plan(ConversionRequest request) throws IOException {
    ModelFamily named = request.family().map(Planner::family).orElse(ModelFamilies.unknown());
    SkipRules rules = SkipRules.of(request);
    PlanSource source = PlanSource.open(request.source(), request.config());
    PlanNotes notes = new PlanNotes();
    Recognition model =
        request.family().isPresent()
            ? ModelFamilies.treatAs(named, source.names())
            : ModelFamilies.recognise(source.names());
    OutputTarget target =
        OutputTarget.of(request, source, model, request.schemes().getFirst().scheme().id());
    target.requireFree(source, request.force());
    if (target.directory()) {
      requireOwnConfiguration(source, model);
    }

    StorageChooser storages = new StorageChooser(request.storage());
    Layers layers = layers(source, model, rules, request.keepSensitive(), notes);
    Optional<QuantStorage> shared =
        target.directory()
            ? Optional.of(storages.forDirectory(source.label(), layers.quantized()))
            : Optional.empty();
    LoaderCheck check = check(source, model, layers, shared);
    layers = layers.adapted(weight -> shared.orElseGet(() -> storages.forWeight(weight)));
    List<TensorPlan> tensors =
        FileMarkers.add(
            tensors(
                request,
                layers.decisions(),
                weight -> shared.orElseGet(() -> storages.forWeight(weight))));
    requireDistinct(source, tensors);
    Optional<String> configuration =
        shared.isPresent() && source.config().isPresent()
            ? Optional.of(
                configuration(
                    source.config().get(), shared.get(), check, layers, request.computeDtype()))
            : Optional.empty();
    notes.describe(source, model, target, shared, layers.quantized());
    return new ConversionPlan(
        request,
        source.files(),
        model.family().id(),
        tensors,
        target.path(),
        target.directory(),
        target.baseName(),
        configuration,
        target.directory() ? copied(source) : Map.of(),
        rules.matches(layers.linears()),
        notes.lines());
  }

  /// What becomes of every tensor.
  ///
  /// @param decisions in file order
  private record Layers(List<Decision> decisions) {
    /// The same with schemes as their storages hold them.
    Layers adapted(Function<Decision.Quantize, QuantStorage> storages) {
      List<Decision> adapted = new ArrayList<>();
      for (Decision decision : decisions) {
        adapted.add(
            switch (decision) {
              case Decision.Keep keep -> keep;
              case Decision.Quantize weight -> {
                DType source = weight.tensor().dtype();
                QuantScheme scheme = storages.apply(weight).adapt(weight.scheme(), source);
                yield new Decision.Quantize(weight.tensor(), scheme, weight.reason());
              }
            });
      }
      return new Layers(adapted);
    }

    List<Decision.Quantize> quantized() {
      List<Decision.Quantize> found = new ArrayList<>();
      for (Decision decision : decisions) {
        if (decision instanceof Decision.Quantize quantize) {
          found.add(quantize);
        }
      }
      return found;
    }

    /// Module paths of the linear layers that stay float.
    List<String> kept() {
      List<String> found = new ArrayList<>();
      for (Decision decision : decisions) {
        if (decision instanceof Decision.Keep keep && keep.linear()) {
          found.add(LayerDecisions.module(keep.tensor().name()));
        }
      }
      return found;
    }

    /// Module paths of all linear layers, in file order.
    List<String> linears() {
      return decisions.stream()
          .filter(decision ->
              switch (decision) {
                case Decision.Keep keep -> keep.linear();
                case Decision.Quantize _ -> true;
              })
          .map(decision -> LayerDecisions.module(decision.tensor().name()))
          .toList();
    }
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

  private static Layers layers(
      PlanSource source,
      Recognition model,
      SkipRules rules,
      boolean keepSensitive,
      PlanNotes notes) {
    Layers layers = new Layers(new LayerDecisions(source, model, rules, keepSensitive).decide());
    List<String> modules = source.names().stream().map(LayerDecisions::module).distinct().toList();
    rules.check(source.label(), layers.linears(), modules).forEach(notes::add);
    if (layers.quantized().isEmpty()) {
      throw new ConversionException(
          source.label()
              + (layers.linears().isEmpty()
                  ? ": has no linear layer, so there is nothing to quantize"
                  : ": all %d linear layers are kept, so there is nothing to quantize: relax --skip,"
                          .formatted(layers.linears().size())
                      + " --only or the --scheme patterns"));
    }
    return layers;
  }

  /// Reads the plan as the loaders will that open a directory of this kind.
  private static LoaderCheck check(
      PlanSource source, Recognition model, Layers layers, Optional<QuantStorage> shared) {
    boolean transformers = source.kind() == Kind.TRANSFORMERS;
    LoaderCheck check =
        new LoaderCheck(
            source.label(),
            layers.quantized().stream()
                .map(weight -> LayerDecisions.module(weight.tensor().name()))
                .toList(),
            layers.kept(),
            transformers ? model.spellings() : List.of(Spelling.AS_IN_FILE),
            transformers ? model.family().listedWithoutTensor() : List.of());
    if (shared.isPresent() && source.config().isPresent()) {
      List<String> added = source.className().map(KeptInFp32::of).orElse(List.of());
      boolean adds = shared.get() instanceof BitsAndBytesStorage;
      for (LoaderRules loader : loaders(source.kind(), shared.get())) {
        check.require(loader, adds ? added : List.of());
      }
    }
    return check;
  }

  /// The source's configuration with the quantization in it.
  private static String configuration(
      ModelConfig source,
      QuantStorage storage,
      LoaderCheck check,
      Layers layers,
      Optional<DType> computeDtype) {
    if (storage instanceof PlainStorage) {
      return PythonJson.sortedAndIndented(source.json());
    }
    SequencedMap<String, QuantScheme> modules = new LinkedHashMap<>();
    for (Decision.Quantize weight : layers.quantized()) {
      for (String path : check.spelled(LayerDecisions.module(weight.tensor().name()))) {
        modules.put(path, weight.scheme());
      }
    }
    return QuantizationConfig.merge(
        source.json(), QuantizationConfig.of(storage, modules, check.skipList(), computeDtype));
  }

  private static List<LoaderRules> loaders(Kind kind, QuantStorage storage) {
    return switch (storage) {
      case BitsAndBytesStorage _ ->
          switch (kind) {
            case DIFFUSERS -> List.of(LoaderRules.DIFFUSERS);
            case TRANSFORMERS -> List.of(LoaderRules.TRANSFORMERS_4, LoaderRules.TRANSFORMERS_5);
            case BARE ->
                List.of(
                    LoaderRules.DIFFUSERS, LoaderRules.TRANSFORMERS_4, LoaderRules.TRANSFORMERS_5);
          };
      case CompressedTensorsStorage _ -> List.of(LoaderRules.COMPRESSED_TENSORS);
      case AwqStorage _ -> List.of(LoaderRules.AWQ);
      // GPTQ's list has whole paths, and the others have none.
      case GptqStorage _, ComfyStorage _, PlainStorage _, NibbleStorage _ -> List.of();
    };
  }

  private static List<TensorPlan> tensors(
      ConversionRequest request,
      List<Decision> decisions,
      Function<Decision.Quantize, QuantStorage> storages) {
    List<TensorPlan> tensors = new ArrayList<>();
    for (Decision decision : decisions) {
      tensors.add(
          switch (decision) {
            case Decision.Keep keep -> kept(keep, request.keptDtype());
            case Decision.Quantize weight -> quantized(weight, storages.apply(weight));
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

  private static TensorPlan kept(Decision.Keep keep, Optional<DType> dtype) {
    TensorInfo tensor = keep.tensor();
    return dtype.isPresent() && tensor.dtype().isQuantizable() && tensor.dtype() != dtype.get()
        ? new TensorPlan.Cast(tensor, dtype.get(), keep.reason())
        : new TensorPlan.Keep(tensor, keep.reason());
  }

  private static TensorPlan quantized(Decision.Quantize weight, QuantStorage storage) {
    TensorInfo tensor = weight.tensor();
    return new TensorPlan.Quantize(
        tensor,
        weight.scheme(),
        storage,
        storage.plan(tensor.name(), weight.scheme(), tensor.shape(), tensor.dtype()),
        weight.reason());
  }

  private static Map<String, Path> copied(PlanSource source) {
    Map<String, Path> copied = new LinkedHashMap<>();
    source
        .directory()
        .ifPresent(directory ->
            directory.others().forEach(file -> copied.put(file.getFileName().toString(), file)));
    return copied;
  }
}
