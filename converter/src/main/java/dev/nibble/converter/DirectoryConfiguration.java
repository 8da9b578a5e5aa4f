package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.DType;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.model.KeptInFp32;
import dev.nibble.formats.model.ModelFamily.Spelling;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.AwqStorage;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.ComfyStorage;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.GgufStorage;
import dev.nibble.formats.quant.storage.GptqStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.PlainStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/// The `config.json` of a directory: what tells loaders which layers are quantized, and whether
/// they will understand it as it is meant.
final class DirectoryConfiguration {
  private final PlanSource source;
  private final Recognition model;
  private final Layers layers;
  private final Optional<QuantStorage> storage;

  /// @param source with the names of the output
  /// @param storage of all its quantized weights; empty if there are none
  DirectoryConfiguration(
      PlanSource source, Recognition model, Layers layers, Optional<QuantStorage> storage) {
    this.source = source;
    this.model = model;
    this.layers = layers;
    this.storage = storage;
  }

  /// The source's configuration with the quantization in it; empty if the source has none.
  ///
  /// @param calibration of the layers, if they are calibrated
  /// @throws ConversionException if a loader would read a layer otherwise than it is planned
  Optional<String> json(Optional<DType> computeDtype, Optional<CalibrationPlanner> calibration) {
    if (source.config().isEmpty()) {
      return Optional.empty();
    }
    // Weights that are only cast need no words either.
    if (storage.isEmpty() || storage.get() instanceof PlainStorage) {
      return Optional.of(QuantizationConfig.without(source.config().get().json()));
    }
    LoaderCheck check = check(storage.get());
    SequencedMap<String, QuantScheme> modules = new LinkedHashMap<>();
    for (Decision.Quantize weight : layers.quantized()) {
      for (String path : check.spelled(LayerDecisions.module(weight.tensor().name()))) {
        modules.put(path, weight.scheme());
      }
    }
    return Optional.of(
        QuantizationConfig.merge(
            source.config().get().json(),
            QuantizationConfig.of(
                storage.get(),
                modules,
                spelled(calibration.map(CalibrationPlanner::inputs).orElse(Map.of()), check),
                calibration.filter(planner -> planner.ordersGroups(storage.get())).isPresent(),
                check.skipList(),
                computeDtype)));
  }

  private static Map<String, ActivationType> spelled(
      Map<String, ActivationType> inputs, LoaderCheck check) {
    Map<String, ActivationType> spelled = new LinkedHashMap<>();
    inputs.forEach(
        (module, type) -> check.spelled(module).forEach(path -> spelled.put(path, type)));
    return spelled;
  }

  /// Reads the plan as the loaders will that open a directory of this kind.
  private LoaderCheck check(QuantStorage chosen) {
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
    List<String> added =
        chosen instanceof BitsAndBytesStorage
            ? source.className().map(KeptInFp32::of).orElse(List.of())
            : List.of();
    for (LoaderRules loader : loaders(chosen)) {
      check.require(loader, added);
    }
    return check;
  }

  private List<LoaderRules> loaders(QuantStorage chosen) {
    return switch (chosen) {
      case BitsAndBytesStorage _ ->
          switch (source.kind()) {
            case DIFFUSERS -> List.of(LoaderRules.DIFFUSERS);
            case TRANSFORMERS -> List.of(LoaderRules.TRANSFORMERS_4, LoaderRules.TRANSFORMERS_5);
            case BARE ->
                List.of(
                    LoaderRules.DIFFUSERS, LoaderRules.TRANSFORMERS_4, LoaderRules.TRANSFORMERS_5);
          };
      case CompressedTensorsStorage _ -> List.of(LoaderRules.COMPRESSED_TENSORS);
      case AwqStorage _ -> List.of(LoaderRules.AWQ);
      // GPTQ's list has whole paths, and the others have none.
      case GptqStorage _, ComfyStorage _, PlainStorage _, NibbleStorage _, GgufStorage _ ->
          List.of();
    };
  }
}
