package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.converter.algorithm.GptqOptions;
import dev.nibble.converter.algorithm.ScalePlan;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.calibration.CalibratedLayer;
import dev.nibble.formats.calibration.CalibrationFile;
import dev.nibble.formats.calibration.CalibrationHeader;
import dev.nibble.formats.calibration.CalibrationStats;
import dev.nibble.formats.calibration.CanonicalConfig;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.SvdQuant;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.GptqStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/// Decides which weights the statistics of a file help to quantize, and how: by headers alone.
final class CalibrationPlanner {
  private static final int NAMED = 3;

  /// With 64, GPTQ gains the pictures of others two thirds of what it gains with 718.
  private static final int FEW_PROMPTS = 128;

  private final Calibration wish;
  private final ConversionRequest request;
  private final PlanSource source;
  private final ModelFamily family;
  private final CalibrationHeader header;

  /// Tensors that stay float and absorb scales of later layers.
  private final Set<String> rescaled = new HashSet<>();

  /// Layers with 8-bit inputs.
  private final Map<String, ActivationType> inputs = new LinkedHashMap<>();

  /// Layers whose input nothing can scale.
  private final Set<String> unscaled = new TreeSet<>();

  /// Layers that are rounded to nearest all the same, by the reason.
  private final Map<String, List<String>> left = new TreeMap<>();

  private CalibrationPlanner(
      Calibration wish,
      ConversionRequest request,
      PlanSource source,
      ModelFamily family,
      CalibrationHeader header) {
    this.wish = wish;
    this.request = request;
    this.source = source;
    this.family = family;
    this.header = header;
  }

  /// Reads what a file of statistics is about.
  ///
  /// @param source with the names of the output
  /// @throws ConversionException if it is about another model
  /// @throws dev.nibble.formats.FormatException if it is damaged, or no statistics
  static CalibrationPlanner open(
      Calibration wish, ConversionRequest request, PlanSource source, ModelFamily family)
      throws IOException {
    if (request.writesGguf()) {
      throw new ConversionException(
          "--stats: ggml's types have no calibrated codes: leave it out, or take --imatrix FILE");
    }
    if (request.allowNonFinite()) {
      throw new ConversionException(
          "--allow-non-finite: weights with NaN or infinity can't be calibrated: leave out --stats");
    }
    try (CalibrationFile file = CalibrationFile.open(wish.stats())) {
      CalibrationPlanner planner =
          new CalibrationPlanner(wish, request, source, family, file.header());
      planner.requireSameModel();
      planner.requireEnough(file);
      return planner;
    }
  }

  private void requireSameModel() {
    Optional<String> config =
        source.config().map(model -> CanonicalConfig.of(model.json().deepCopy()));
    for (Map.Entry<String, CalibratedLayer> entry : header.layers().entrySet()) {
      SourceTensor weight = source.tensors().get(entry.getKey() + ".weight");
      Shape shape = Shape.of(entry.getValue().out(), entry.getValue().in());
      if (weight == null) {
        throw another("'%s' is no layer of".formatted(Text.printable(entry.getKey())));
      }
      if (!weight.shape().equals(shape)) {
        throw another(
            "'%s' is %s there and %s in".formatted(entry.getKey(), shape, weight.shape()));
      }
    }
    if (config.isPresent() && !config.get().equals(header.config())) {
      throw another("its config.json differs from that of");
    }
  }

  /// What an algorithm needs may have been left out to save room.
  private void requireEnough(CalibrationStats stats) {
    for (InputStatistics input : stats.inputs()) {
      boolean sampled = input.sampleRows() > 0;
      if (wish.gptq().isPresent() && input.hessian().isEmpty()) {
        throw lacking(input, "Hessian, which --gptq needs: record it without --no-hessian");
      }
      if (wish.eightBitInputs() && !sampled) {
        throw lacking(input, "sample, which --w8a8 needs: record it without --samples 0");
      }
      if (wish.scales().isPresent() && !sampled && input.hessian().isEmpty()) {
        throw lacking(input, "Hessian and no sample, and input scales need one: record either");
      }
    }
  }

  private ConversionException lacking(InputStatistics input, String what) {
    return new ConversionException(
        "%s: input '%s' has no %s".formatted(wish.stats(), Text.printable(input.name()), what));
  }

  private ConversionException another(String how) {
    if (family.dialect(source.tensors().keySet()) == Dialect.ORIGINAL) {
      return new ConversionException(
          "%s: knows layers by diffusers' names, and what %s becomes would have the original ones: give it --names diffusers"
              .formatted(wish.stats(), source.label()));
    }
    return new ConversionException(
        "%s: statistics of another model: %s %s: record this one's with nibble calibrate PIPELINE --prompts FILE -o stats.safetensors"
            .formatted(wish.stats(), how, source.label()));
  }

  /// The layers with the schemes that calibration makes of theirs.
  ///
  /// @throws IOException if the statistics can't be read
  Layers schemes(Layers layers) throws IOException {
    Layers held = wish.eightBitInputs() ? withoutSensitive(layers) : layers;
    Set<String> scaled = wish.scales().isPresent() ? scales(held) : Set.of();
    List<Decision> decisions = new ArrayList<>();
    for (Decision decision : held.decisions()) {
      decisions.add(
          decision instanceof Decision.Quantize weight && wish.needsGrid() && helps(weight)
              ? withBranch(weight, scaled)
              : decision);
    }
    return new Layers(decisions);
  }

  private Decision withBranch(Decision.Quantize weight, Set<String> scaled) {
    boolean scale = scaled.contains(LayerDecisions.module(weight.tensor().name()));
    return wish.rank().isPresent() || scale
        ? new Decision.Quantize(
            weight.tensor(), new SvdQuant(weight.scheme(), wish.rank().orElse(0)), weight.reason())
        : weight;
  }

  /// Keeps the layers that lose too much by 8-bit inputs, and notes the others'.
  private Layers withoutSensitive(Layers layers) throws IOException {
    try (CalibrationFile file = CalibrationFile.open(wish.stats());
        OpenModel model = OpenModel.open(request.source(), request.config())) {
      Set<String> folded = wish.scales().isPresent() ? folded(layers, file) : Set.of();
      EightBitInputs measured =
          EightBitInputs.measure(
              layers,
              file,
              model,
              family,
              request,
              weight -> folded.contains(LayerDecisions.module(weight.tensor().name())));
      inputs.putAll(measured.inputs());
      return measured.layers();
    }
  }

  /// The layers whose input scale something absorbs.
  private Set<String> folded(Layers layers, CalibrationFile file) {
    Set<String> modules = new HashSet<>();
    for (ScalePlan.Group group : groups(layers, file)) {
      if (group.fold().isPresent()) {
        modules.addAll(group.modules());
      }
    }
    return modules;
  }

  /// What the inputs of layers are rounded to, by module.
  Map<String, ActivationType> inputs() {
    return inputs;
  }

  /// Only one kind of output tells its readers to round inputs.
  ///
  /// @param storage of a directory with a configuration; empty for other outputs
  void requireReaders(Optional<QuantStorage> storage) {
    if (!inputs.isEmpty() && storage.filter(CompressedTensorsStorage.class::isInstance).isEmpty()) {
      throw new ConversionException(
          "--w8a8: only a directory of compressed-tensors, with a config.json, tells readers to round inputs: leave out --format, --svd and -o X.safetensors");
    }
  }

  /// Decides where input scales go; gives the layers that keep theirs.
  private Set<String> scales(Layers layers) throws IOException {
    boolean keeps =
        wish.rank().isPresent()
            || request.storage().filter(NibbleStorage.class::isInstance).isPresent();
    Set<String> kept = new HashSet<>();
    try (CalibrationFile file = CalibrationFile.open(wish.stats())) {
      for (ScalePlan.Group group : groups(layers, file)) {
        if (group.fold().isPresent()) {
          ScaleGroups.edited(group, source.names()).stream()
              .filter(name -> !isCalibrated(layers, name))
              .forEach(rescaled::add);
        } else if (keeps) {
          kept.addAll(group.modules());
        } else {
          unscaled.addAll(group.modules());
        }
      }
    }
    return kept;
  }

  private List<ScalePlan.Group> groups(Layers layers, CalibrationFile file) {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    Set<String> calibrated = new HashSet<>();
    Set<String> editable = new HashSet<>();
    for (Decision decision : layers.decisions()) {
      SourceTensor tensor = decision.tensor();
      shapes.put(tensor.name(), tensor.shape());
      if (decision instanceof Decision.Quantize weight) {
        if (helps(weight)) {
          calibrated.add(LayerDecisions.module(tensor.name()));
          editable.add(tensor.name());
        }
      } else if (tensor.dtype().isQuantizable()) {
        editable.add(tensor.name());
      }
    }
    return ScaleGroups.of(file, family, shapes, calibrated::contains, editable::contains);
  }

  private boolean isCalibrated(Layers layers, String name) {
    return layers.quantized().stream()
        .anyMatch(weight -> weight.tensor().name().equals(name) && helps(weight));
  }

  /// Whether a tensor that stays float absorbs scales.
  boolean isRescaled(String tensor) {
    return rescaled.contains(tensor);
  }

  /// How a weight is calibrated; empty where it is rounded to nearest, which {@link #notes} tells.
  ///
  /// @param storage where its groups may stand in another order
  Optional<Calibrated> of(Decision.Quantize weight, QuantStorage storage) {
    if (!wish.needsGrid() || !helps(weight)) {
      return Optional.empty();
    }
    return Optional.of(
        new Calibrated(
            LayerDecisions.module(weight.tensor().name()),
            wish.gptq()
                .map(options -> storage instanceof GptqStorage ? options : inPlace(options))));
  }

  /// Whether groups of inputs follow the order in which GPTQ rounds them, in this storage.
  boolean ordersGroups(QuantStorage storage) {
    return storage instanceof GptqStorage
        && wish.gptq().filter(options -> options.actOrder() && !options.staticGroups()).isPresent();
  }

  /// Where no index of groups is stored, each column stays in the group of its place.
  private static GptqOptions inPlace(GptqOptions options) {
    return options.actOrder() ? options.withStaticGroups() : options;
  }

  private boolean helps(Decision.Quantize weight) {
    String module = LayerDecisions.module(weight.tensor().name());
    if (!header.layers().containsKey(module)) {
      leave("no statistics", module);
      return false;
    }
    if (hasGrid(weight)) {
      return true;
    }
    leave(noGrid(residual(weight)), module);
    return false;
  }

  private static boolean hasGrid(Decision.Quantize weight) {
    try (Arena arena = Arena.ofConfined()) {
      return residual(weight).grid(weight.tensor().shape(), arena).isPresent();
    }
  }

  private static QuantScheme residual(Decision.Quantize weight) {
    return weight.scheme() instanceof SvdQuant(QuantScheme residual, int _)
        ? residual
        : weight.scheme();
  }

  private static String noGrid(QuantScheme scheme) {
    try (Arena arena = Arena.ofConfined()) {
      return scheme.grid(Shape.of(4096, 4096), arena).isPresent()
          ? scheme.id() + " has no whole blocks in its rows"
          : scheme.id()
              + " has no grid to choose codes on (nf4, fp4, int8, absmax8, affine8, int4 have)";
    }
  }

  private void leave(String reason, String module) {
    if (left.values().stream().anyMatch(modules -> modules.contains(module))) {
      return; // told already, perhaps of the scheme before its storage adapted it
    }
    left.computeIfAbsent(reason, _ -> new ArrayList<>()).add(module);
  }

  /// What the user should know, once all weights have been asked for.
  ///
  /// @param calibrated how many weights are
  /// @throws ConversionException if none is
  List<String> notes(int calibrated) {
    List<String> notes = new ArrayList<>();
    left.forEach((reason, modules) ->
        notes.add("rounded to nearest (%s): %s".formatted(reason, some(modules))));
    if (!unscaled.isEmpty()) {
      notes.add(
          "inputs not scaled, for nothing before them can absorb it (--format nibble keeps scales beside the weights): "
              + some(List.copyOf(unscaled)));
    }
    if (calibrated == 0 && inputs.isEmpty()) {
      throw new ConversionException(
          "%s: helps none of the layers of %s: %s"
              .formatted(wish.stats(), source.label(), String.join("; ", notes)));
    }
    if (header.prompts() < FEW_PROMPTS) {
      notes.add(
          "statistics of few prompts: the error of outputs is told for those, and others gain less; some hundred are better");
    }
    notes.add(
        "%s from %d prompts, %d steps each (%s)"
            .formatted(wish.label(), header.prompts(), header.steps(), header.tool()));
    return notes;
  }

  private static String some(List<String> modules) {
    String more = modules.size() > NAMED ? " and %d more".formatted(modules.size() - NAMED) : "";
    return Text.printable(String.join(", ", modules.subList(0, Math.min(NAMED, modules.size()))))
        + more;
  }
}
