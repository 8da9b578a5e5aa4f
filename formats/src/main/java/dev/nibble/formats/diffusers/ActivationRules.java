package dev.nibble.formats.diffusers;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.quant.ActivationType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/// Which linear layers of a compressed-tensors model take 8-bit inputs: the `input_activations` of
/// the `quantization_config`, where each token gets its scale as it comes.
///
/// Known are `num_bits` 8, `type` `int` or `float`, `symmetric`, `strategy` `token` and `dynamic`;
/// layers with other `input_activations` (static scales, 4 bits) are as if they had none: their
/// weights are used with inputs as they are, which loses less than the file allows for.
///
/// A layer belongs to the first group with a target that matches: its path, `re:` and a regular
/// expression that its path begins with, or `Linear`; unless `ignore` names it in the same ways.
public final class ActivationRules {
  /// No layer.
  public static final ActivationRules NONE = new ActivationRules(List.of(), List.of());

  private static final String REGEX = "re:";
  private static final String CLASS = "Linear";

  private final List<Group> groups;
  private final List<Target> ignored;

  private record Group(List<Target> targets, Optional<ActivationType> type) {}

  /// Whether a layer of that path is meant.
  @FunctionalInterface
  private interface Target {
    boolean matches(String module);
  }

  private ActivationRules(List<Group> groups, List<Target> ignored) {
    this.groups = groups;
    this.ignored = ignored;
  }

  /// What a model's `config.json` says.
  public static ActivationRules of(JsonNode config) {
    JsonNode quantization = config.path("quantization_config");
    if (!quantization.path("quant_method").asText().equals("compressed-tensors")) {
      return NONE;
    }
    List<Group> groups = new ArrayList<>();
    for (JsonNode group : quantization.path("config_groups")) {
      groups.add(new Group(targets(group.path("targets")), type(group.path("input_activations"))));
    }
    return groups.stream().allMatch(group -> group.type().isEmpty())
        ? NONE
        : new ActivationRules(groups, targets(quantization.path("ignore")));
  }

  private static List<Target> targets(JsonNode names) {
    List<Target> targets = new ArrayList<>();
    for (JsonNode name : names) {
      targets.add(target(name.asText()));
    }
    return targets;
  }

  private static Target target(String name) {
    if (name.startsWith(REGEX)) {
      try {
        Pattern pattern = Pattern.compile(name.substring(REGEX.length()));
        return module -> pattern.matcher(module).lookingAt();
      } catch (PatternSyntaxException _) {
        return _ -> false; // Python's dialect is not quite Java's
      }
    }
    return name.equals(CLASS) ? _ -> true : name::equals;
  }

  private static Optional<ActivationType> type(JsonNode activations) {
    boolean known =
        activations.path("num_bits").asInt() == 8
            && activations.path("symmetric").asBoolean(true)
            && activations.path("strategy").asText().equals("token")
            && activations.path("dynamic").asBoolean();
    if (!known) {
      return Optional.empty();
    }
    return switch (activations.path("type").asText()) {
      case "int" -> Optional.of(ActivationType.INT8);
      case "float" -> Optional.of(ActivationType.FP8_E4M3);
      default -> Optional.empty();
    };
  }

  /// What the inputs of a linear layer are rounded to, if anything.
  ///
  /// @param module path of the layer, without `.weight`
  public Optional<ActivationType> of(String module) {
    if (ignored.stream().anyMatch(target -> target.matches(module))) {
      return Optional.empty();
    }
    for (Group group : groups) {
      if (group.targets().stream().anyMatch(target -> target.matches(module))) {
        return group.type();
      }
    }
    return Optional.empty();
  }
}
