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
import dev.nibble.formats.quant.storage.GptqStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.PlainStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The lines of a plan that its user should read: what was guessed, and who opens the output.
final class PlanNotes {
  private final List<String> lines = new ArrayList<>();

  void add(String line) {
    lines.add(line);
  }

  List<String> lines() {
    return List.copyOf(lines);
  }

  /// Adds what follows from the plan.
  ///
  /// @param shared the storage of a directory; empty for a single file
  void describe(
      PlanSource source,
      Recognition model,
      OutputTarget target,
      Optional<QuantStorage> shared,
      List<Decision.Quantize> weights) {
    if (model.family().equals(ModelFamilies.unknown())) {
      add(
          "unknown model: its linear layers were guessed by name and shape; --family names one that"
              + " nibble knows");
    }
    if (shared.isPresent()) {
      directory(source, shared.get(), weights);
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
        add("opens with " + fromPretrained(source));
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
                  ? "opens with transformers and vLLM that have compressed-tensors"
                  : "compressed-tensors: diffusers (0.40) does not open it, nibble does");
      case GptqStorage _ ->
          add(
              "opens with transformers and vLLM that have GPTQ's kernels; values rounded to nearest");
      case AwqStorage _ ->
          add(
              "opens with transformers and vLLM that have AWQ's kernels; values rounded to nearest");
      case PlainStorage _ -> add("opens with " + fromPretrained(source));
      case NibbleStorage _, ComfyStorage _ -> add("nibble's own storage: no other tool opens it");
    }
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
          "diffusers opens quantized models only as directories with its own names: for one, start"
              + " from the model's diffusers directory");
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
