package dev.nibble.converter.internal;

import static java.util.stream.Collectors.joining;

import dev.nibble.converter.Calibration;
import dev.nibble.converter.ConversionException;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ScaleGroups;
import dev.nibble.converter.TensorPlan;
import dev.nibble.converter.algorithm.Awq;
import dev.nibble.converter.algorithm.CalibratedLayer;
import dev.nibble.converter.algorithm.ScaleChoice;
import dev.nibble.converter.algorithm.ScalePlan;
import dev.nibble.converter.algorithm.SearchOptions;
import dev.nibble.converter.algorithm.Smoothing;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.CalibrationStats;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.model.RowEdit;
import dev.nibble.formats.model.TensorEdit;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.SvdBranch;
import dev.nibble.formats.quant.SvdQuant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Input scales of an output's layers, and what absorbs them.
final class InputScales {
  /// No scales.
  static final InputScales NONE = new InputScales(Map.of(), Map.of(), Set.of());

  private static final String WEIGHT = ".weight";

  private final Map<String, float[]> scales;
  private final Map<String, List<RowEdit>> edits;
  private final Set<String> absorbed;

  /// @param absorbed layers whose scale something before them has absorbed
  private InputScales(
      Map<String, float[]> scales, Map<String, List<RowEdit>> edits, Set<String> absorbed) {
    this.scales = scales;
    this.edits = edits;
    this.absorbed = absorbed;
  }

  /// Is told of each search before it begins, and may throw to stop.
  @FunctionalInterface
  interface Watch {
    void searching(String module, int done, int total);
  }

  /// Searches the scales of all layers.
  static InputScales search(
      CalibrationStats stats,
      ConversionPlan plan,
      OpenModel source,
      Calibration.Scales method,
      Watch watch) {
    Search search = new Search(plan, source, method);
    List<ScalePlan.Group> groups = search.groups(stats);
    for (int i = 0; i < groups.size(); i++) {
      watch.searching(groups.get(i).modules().getFirst(), i, groups.size());
      search.find(groups.get(i));
    }
    return new InputScales(search.scales, search.edits, search.absorbed);
  }

  /// One search over a plan.
  private static final class Search {
    private final ConversionPlan plan;
    private final OpenModel source;
    private final Calibration.Scales method;
    private final Map<String, TensorPlan> tensors = new LinkedHashMap<>();
    private final Map<String, Shape> shapes = new LinkedHashMap<>();
    private final Map<String, float[]> scales = new HashMap<>();
    private final Map<String, List<RowEdit>> edits = new HashMap<>();
    private final Set<String> absorbed = new HashSet<>();

    Search(ConversionPlan plan, OpenModel source, Calibration.Scales method) {
      this.plan = plan;
      this.source = source;
      this.method = method;
      for (TensorPlan tensor : plan.tensors()) {
        tensors.put(tensor.source().name(), tensor);
        shapes.put(tensor.source().name(), tensor.source().shape());
      }
    }

    /// The groups whose scale has a place.
    List<ScalePlan.Group> groups(CalibrationStats stats) {
      ModelFamily family = ModelFamilies.byId(plan.family()).orElse(ModelFamilies.unknown());
      return ScaleGroups.of(
              stats,
              family,
              shapes,
              module -> isCalibrated(tensors.get(module + WEIGHT)),
              name -> isEditable(tensors.get(name)))
          .stream()
          .filter(group -> group.fold().isPresent() || keepsScale(group, tensors))
          .toList();
    }

    void find(ScalePlan.Group group) {
      List<CalibratedLayer> layers = new ArrayList<>();
      for (int i = 0; i < group.modules().size(); i++) {
        String module = group.modules().get(i);
        TensorPlan.Quantize weight = (TensorPlan.Quantize) get(tensors, module + WEIGHT);
        layers.add(
            new CalibratedLayer(
                module,
                new SourceRows(source, weight.source()),
                residual(weight.quantScheme()),
                group.inputs().get(i)));
      }
      ScaleChoice choice = chosen(method, layers, plan);
      if (!choice.helps()) {
        return;
      }
      // Stored scales are numbers of BF16, and what absorbs them must divide by the same.
      float[] chosen =
          SvdBranch.rounded(
              group.fold().map(fold -> fold.fitted(choice.scales())).orElse(choice.scales()));
      group.modules().forEach(module -> scales.put(module, chosen));
      if (group.fold().isPresent()) {
        absorbed.addAll(group.modules());
        for (RowEdit edit : group.fold().get().edits(chosen, shapes.keySet())) {
          edits.computeIfAbsent(edit.tensor(), _ -> new ArrayList<>()).add(edit);
        }
      }
    }
  }

  private static ScaleChoice chosen(
      Calibration.Scales method, List<CalibratedLayer> layers, ConversionPlan plan) {
    try {
      return choose(method, layers, plan);
    } catch (NibbleException e) {
      String modules = layers.stream().map(CalibratedLayer::module).collect(joining("', '"));
      throw new ConversionException("layer '" + modules + "': " + e.getMessage(), e);
    }
  }

  private static ScaleChoice choose(
      Calibration.Scales method, List<CalibratedLayer> layers, ConversionPlan plan) {
    SearchOptions options =
        new SearchOptions(SearchOptions.DEFAULT.maxRows(), plan.request().threads());
    return switch (method) {
      case AWQ -> Awq.search(layers, true, options);
      case SMOOTH ->
          Smoothing.search(
              layers,
              plan.request().calibration().orElseThrow().eightBitInputs()
                  ? Optional.of(ActivationType.INT8)
                  : Optional.empty(),
              options);
    };
  }

  private static TensorPlan get(Map<String, TensorPlan> tensors, String name) {
    TensorPlan plan = tensors.get(name);
    if (plan == null) {
      throw new AssertionError(name + " was planned and is not there");
    }
    return plan;
  }

  private static boolean isCalibrated(@Nullable TensorPlan plan) {
    return plan instanceof TensorPlan.Quantize weight && weight.calibrated().isPresent();
  }

  private static boolean isEditable(@Nullable TensorPlan plan) {
    return isCalibrated(plan) || plan instanceof TensorPlan.Rescale;
  }

  private static boolean keepsScale(ScalePlan.Group group, Map<String, TensorPlan> tensors) {
    return group.modules().stream()
        .allMatch(module ->
            get(tensors, module + WEIGHT) instanceof TensorPlan.Quantize weight
                && weight.quantScheme() instanceof SvdQuant);
  }

  private static QuantScheme residual(QuantScheme scheme) {
    return scheme instanceof SvdQuant(QuantScheme residual, int _) ? residual : scheme;
  }

  /// What the input of a layer is divided by, `[in]`; not to be changed.
  Optional<float[]> of(String module) {
    return Optional.ofNullable(scales.get(module));
  }

  /// Whether a layer gets its input divided already.
  boolean isAbsorbed(String module) {
    return absorbed.contains(module);
  }

  /// What becomes of the rows of a tensor.
  TensorEdit edit(String tensor) {
    return TensorEdit.ofRows(edits.getOrDefault(tensor, List.of()));
  }
}
