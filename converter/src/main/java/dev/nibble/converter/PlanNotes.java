package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.storage.AwqStorage;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.ComfyStorage;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.GgufStorage;
import dev.nibble.formats.quant.storage.GptqStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.PlainStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The lines of a plan that its user should read: what was guessed, and who opens the output.
final class PlanNotes {
  /// How the line begins that says what opens a directory.
  static final String OPENS = "opens with ";

  private final boolean calibrated;
  private final List<String> lines = new ArrayList<>();

  /// @param calibrated whether data had a say in what is written
  PlanNotes(boolean calibrated) {
    this.calibrated = calibrated;
  }

  void add(String line) {
    lines.add(line);
  }

  /// The source has been quantized before.
  void requantized(String method) {
    add(
        "the source is quantized already, by "
            + method
            + ": its loss stays, and this one's is added");
  }

  List<String> lines() {
    return List.copyOf(lines);
  }

  /// Adds what follows from the plan.
  ///
  /// @param shared the storage of a directory; empty for a single file, and if nothing is quantized
  /// @param gguf for a GGUF file
  void describe(
      PlanSource source,
      Recognition model,
      OutputTarget target,
      Optional<QuantStorage> shared,
      List<Decision.Quantize> weights,
      Optional<GgufPlanner> gguf) {
    if (model.family().equals(ModelFamilies.unknown())) {
      add(
          "unknown model: its linear layers were guessed by name and shape; --family names one that"
              + " nibble knows");
    }
    if (gguf.isPresent()) {
      gguf.get().noteReaders();
    } else if (shared.isPresent()) {
      directory(source, shared.get(), weights);
    } else if (weights.isEmpty()) {
      add(
          target.directory()
              ? OPENS + fromPretrained(source)
              : "nothing is quantized: the tensors have other names, or are cut otherwise");
    } else {
      file(source, model, target, weights);
    }
  }

  private void directory(PlanSource source, QuantStorage storage, List<Decision.Quantize> weights) {
    if (source.config().isEmpty()) {
      add(
          "no config.json: loaders learn from it that weights are quantized; --config FILE names the"
              + " model's");
      return;
    }
    switch (storage) {
      case BitsAndBytesStorage _ -> {
        add(OPENS + fromPretrained(source));
        long mixes = weights.stream().map(Decision.Quantize::scheme).distinct().count();
        if (mixes > 1) {
          add(
              "config.json names one 4-bit type; diffusers and transformers go by what each weight"
                  + " says of itself");
        }
      }
      case CompressedTensorsStorage _ ->
          add(
              source.kind() == Kind.TRANSFORMERS
                  ? OPENS + "transformers and vLLM that have compressed-tensors"
                  : "compressed-tensors: diffusers (0.40) does not open it, nibble does");
      case GptqStorage _ -> grid(source, "GPTQ");
      case AwqStorage _ -> grid(source, "AWQ");
      case PlainStorage _ -> add(OPENS + fromPretrained(source));
      case NibbleStorage _, ComfyStorage _ -> add("nibble's own storage: no other tool opens it");
      case GgufStorage _ -> throw new AssertionError("a GGUF file is no directory");
    }
  }

  private void grid(PlanSource source, String method) {
    add(
        source.kind() == Kind.DIFFUSERS
            ? method + ": diffusers (0.40) does not open it, nibble does"
            : OPENS + "transformers and vLLM");
    add(
        "%s: loaders need its kernels".formatted(method)
            + (calibrated
                ? ""
                : "; values are rounded to nearest, which %s's own tools fit to data"
                    .formatted(method)));
  }

  private static String fromPretrained(PlanSource source) {
    String name = source.className().orElse("the model's class");
    return switch (source.kind()) {
      case DIFFUSERS -> "diffusers: " + name + ".from_pretrained(DIR, torch_dtype=torch.bfloat16)";
      case TRANSFORMERS -> "transformers: " + name + ".from_pretrained(DIR)";
      case BARE -> "the library that its config.json is for, with bitsandbytes";
    };
  }

  private void file(
      PlanSource source, Recognition model, OutputTarget target, List<Decision.Quantize> weights) {
    boolean original = model.dialect() == Dialect.ORIGINAL || !model.prefix().isEmpty();
    boolean fourBit = weights.stream().allMatch(weight -> weight.scheme() instanceof FourBit);
    boolean fp8 = weights.stream().allMatch(weight -> weight.scheme() instanceof Fp8);
    add(
        "a single file: nibble opens it"
            + (original && fourBit ? ", and the NF4 loaders of ComfyUI and Forge" : "")
            + (original && fp8 ? ", and ComfyUI" : ""));
    if (original) {
      add(
          "diffusers opens quantized models only as directories with its own names: --names diffusers"
              + " with --config config.json writes one, where nibble knows the names");
    } else if (source.config().isPresent()) {
      add(
          "for a directory that diffusers or transformers open, leave out -o "
              + target.path().getFileName());
    } else {
      add(
          "for a directory that diffusers or transformers open, name the model's configuration with"
              + " --config config.json");
    }
  }
}
