package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/// Decoders in the manner of Llama and Qwen (text encoders of Z-Image and Qwen-Image), the vision
/// tower of Qwen2.5-VL included. Not mixtures of experts, whose router is no linear layer in
/// transformers 5.
///
/// Source of the names: transformers 5.18, `modeling_qwen3.py`, `modeling_qwen2_5_vl.py`,
/// `modeling_llama.py`. The same file is opened by classes that nest the decoder differently:
/// `Qwen3Model` says `layers.0`, `Qwen3ForCausalLM` says `model.layers.0`, and
/// `Qwen2_5_VLForConditionalGeneration` says `model.language_model.layers.0`.
record QwenLlamaFamily() implements ModelFamily {
  private static final String NESTS = "(model\\.|language_model\\.)*";
  private static final Pattern QUERY =
      Pattern.compile(NESTS + "layers\\.\\d+\\.self_attn\\.q_proj\\.weight");
  private static final Pattern DOWN =
      Pattern.compile(NESTS + "layers\\.\\d+\\.mlp\\.down_proj\\.weight");
  private static final Pattern LAYER = Pattern.compile(NESTS + "layers\\.\\d+\\.");
  private static final Pattern LINEAR_ATTENTION =
      Pattern.compile(NESTS + "layers\\.\\d+\\.linear_attn\\..*");
  private static final Pattern EXPERTS = Pattern.compile(".*\\.mlp\\.experts\\..*");
  private static final Pattern VISION = Pattern.compile("(model\\.)?visual\\..*");
  private static final Pattern NEST = Pattern.compile("^(model\\.|language_model\\.)+");
  private static final Set<String> TABLES = Set.of("embed_tokens", "pos_embed", "rotary_emb");

  @Override
  public String id() {
    return "qwen-llama";
  }

  @Override
  public String label() {
    return "Qwen/Llama-style decoder";
  }

  @Override
  public Dialect dialect(Set<String> names) {
    return NameRules.has(names, QUERY, DOWN) && !NameRules.has(names, EXPERTS)
        ? Dialect.LIBRARY
        : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, TABLES);
  }

  @Override
  public List<LayerNote> keptByLoaders() {
    return List.of(new LayerNote("lm_head", "output embedding, often tied to the input one"));
  }

  @Override
  public List<String> listedWithoutTensor() {
    return List.of("lm_head");
  }

  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("self_attn.v_proj", "small, and every 4-bit GGUF mix gives it more bits"),
        new LayerNote("visual.merger", "the only way from pictures to text"));
  }

  /// Of Qwen 2 and 3 only, told by their biases and head norms: others have the same names, but
  /// norms that multiply by `1 + weight` (Gemma) or stand elsewhere (OLMo 2). A value whose heads
  /// several queries share has fewer rows than the output projection has inputs, and takes no
  /// scale.
  @Override
  public List<Fold> folds(Map<String, Shape> tensors) {
    if (NameRules.has(tensors.keySet(), LINEAR_ATTENTION)) {
      return List.of();
    }
    FoldFinder finder = new FoldFinder(tensors);
    for (String layer : finder.prefixes(LAYER, "self_attn.q_proj.weight")) {
      boolean qwen =
          tensors.containsKey(layer + "self_attn.q_proj.bias")
              || tensors.containsKey(layer + "self_attn.q_norm.weight");
      if (!qwen || tensors.containsKey(layer + "post_feedforward_layernorm.weight")) {
        continue;
      }
      finder.norm(
          layer, "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
      finder.rows(layer, List.of("self_attn.v_proj"), List.of("self_attn.o_proj"));
      finder.norm(layer, "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj");
      finder.rows(layer, List.of("mlp.up_proj"), List.of("mlp.down_proj"));
    }
    return finder.folds();
  }

  @Override
  public List<LayerNote> unfoldable() {
    return List.of(
        new LayerNote("self_attn.o_proj", "several queries share a head of values"),
        new LayerNote("visual", "no folds of the vision tower are known"));
  }

  @Override
  public List<Spelling> spellings(Set<String> names) {
    List<Spelling> spellings = new ArrayList<>();
    spellings.add(Spelling.AS_IN_FILE);
    spellings.add(module -> nested(module, "", ""));
    spellings.add(module -> nested(module, "model.", ""));
    if (NameRules.has(names, VISION)) {
      spellings.add(module -> nested(module, "model.language_model.", "model."));
      spellings.add(module -> nested(module, "language_model.", ""));
    }
    return List.copyOf(spellings);
  }

  private static String nested(String module, String decoder, String tower) {
    String bare = NEST.matcher(module).replaceFirst("");
    if (bare.startsWith("layers.")) {
      return decoder + bare;
    }
    return bare.startsWith("visual.") ? tower + bare : bare;
  }
}
