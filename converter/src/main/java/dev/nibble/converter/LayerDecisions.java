package dev.nibble.converter;

import dev.nibble.formats.DType;
import dev.nibble.formats.Text;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.model.KeptInFp32;
import dev.nibble.formats.model.LayerKind;
import dev.nibble.formats.model.LayerNote;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.quant.QuantScheme;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/// Decides what is quantized: every linear layer, less what loaders keep, less `--skip` and
/// `--keep-sensitive`, within `--only`, in the scheme of the last rule that matches. In GGUF files
/// of a plain type the others of these layers are cast.
final class LayerDecisions {
  private static final String WEIGHT = ".weight";

  private final PlanSource source;
  private final Recognition model;
  private final SkipRules rules;
  private final List<Note> keptByFamily;
  private final List<Note> sensitive;
  private final List<String> keptByClass;
  private final Predicate<String> leftByClass;
  private final Optional<DType> cast;

  /// What becomes of one tensor.
  sealed interface Decision {
    SourceTensor tensor();

    /// In a few words.
    String reason();

    /// Stays as it is (or is only cast).
    ///
    /// @param linear whether it is the weight of a linear layer, which loaders have to be told of
    record Keep(SourceTensor tensor, String reason, boolean linear) implements Decision {}

    /// The weight of a linear layer that becomes another float type.
    record Cast(SourceTensor tensor, DType target, String reason) implements Decision {}

    record Quantize(SourceTensor tensor, QuantScheme scheme, String reason) implements Decision {}
  }

  private record Note(ModulePattern pattern, String reason) {
    static List<Note> of(List<LayerNote> notes) {
      return notes.stream()
          .map(note -> new Note(ModulePattern.of(note.pattern()), note.reason()))
          .toList();
    }

    static Optional<Note> first(List<Note> notes, String module) {
      return notes.stream().filter(note -> note.pattern().matches(module)).findFirst();
    }
  }

  LayerDecisions(PlanSource source, Recognition model, SkipRules rules, ConversionRequest request) {
    this.source = source;
    this.model = model;
    this.rules = rules;
    this.keptByFamily = Note.of(model.family().keptByLoaders());
    this.sensitive = request.keepSensitive() ? Note.of(model.family().sensitive()) : List.of();
    this.keptByClass = source.className().map(KeptInFp32::of).orElse(List.of());
    this.cast = request.gguf().flatMap(GgufMix::plain);
    this.leftByClass = LoaderRules.DIFFUSERS.leavesInFloat(keptByClass);
  }

  /// The module that a tensor belongs to: its name without `.weight` or `.bias`.
  static String module(String name) {
    for (String suffix : List.of(WEIGHT, ".bias")) {
      if (name.endsWith(suffix)) {
        return name.substring(0, name.length() - suffix.length());
      }
    }
    return name;
  }

  /// Every tensor's fate, in file order.
  ///
  /// @throws ConversionException if a linear layer does not hold floats
  List<Decision> decide() {
    List<Decision> decisions = new ArrayList<>();
    for (SourceTensor tensor : source.infos()) {
      decisions.add(decide(tensor));
    }
    return decisions;
  }

  private Decision decide(SourceTensor tensor) {
    LayerKind kind = model.kind(tensor.name(), tensor.shape());
    if (kind != LayerKind.LINEAR) {
      return new Decision.Keep(tensor, kind.label(), false);
    }
    String module = module(tensor.name());
    Optional<String> kept = whyKept(module, tensor);
    if (kept.isPresent()) {
      return new Decision.Keep(tensor, kept.get(), true);
    }
    Optional<SchemeRule> rule = rules.schemeOf(module);
    if (rule.isEmpty() && cast.isEmpty()) {
      return new Decision.Keep(tensor, "no --scheme pattern matches", true);
    }
    requireFloat(tensor);
    if (rule.isEmpty()) {
      return new Decision.Cast(tensor, cast.get(), "linear layer");
    }
    boolean forAll = rule.get().pattern().equals("*");
    String reason = forAll ? "linear layer" : "linear layer, --scheme " + rule.get().pattern();
    return new Decision.Quantize(tensor, rule.get().scheme(), reason);
  }

  private Optional<String> whyKept(String module, SourceTensor tensor) {
    Optional<String> skipped = rules.skippedBy(module);
    if (skipped.isPresent()) {
      return Optional.of("--skip " + skipped.get());
    }
    if (leftByClass.test(module)) {
      String library = source.kind() == Kind.DIFFUSERS ? "diffusers" : "transformers";
      return Optional.of(
          library
              + " keeps it in float32: "
              + keptByClass.stream().filter(key -> names(key, module)).findFirst().orElse(module));
    }
    Optional<Note> loader = Note.first(keptByFamily, module);
    if (loader.isPresent()) {
      return Optional.of(
          "loaders keep " + loader.get().pattern().text() + ": " + loader.get().reason());
    }
    Optional<Note> loses = Note.first(sensitive, module);
    if (loses.isPresent()) {
      return Optional.of(
          "--keep-sensitive " + loses.get().pattern().text() + ": " + loses.get().reason());
    }
    if (!rules.allows(module)) {
      return Optional.of("not in --only");
    }
    return tensor.shape().elements() == 0 ? Optional.of("empty") : Optional.empty();
  }

  private static boolean names(String key, String module) {
    return LoaderRules.DIFFUSERS.leavesInFloat(List.of(key)).test(module);
  }

  private void requireFloat(SourceTensor tensor) {
    if (!tensor.dtype().isQuantizable()) {
      throw new ConversionException(
          source.files().get(tensor.file()).path()
              + ": tensor '"
              + Text.printable(tensor.name())
              + "' is "
              + tensor.dtype()
              + ", expected a float type: this checkpoint is quantized already, start from the"
              + " original (or --skip that layer)");
    }
  }
}
