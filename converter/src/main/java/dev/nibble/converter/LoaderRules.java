package dev.nibble.converter;

import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/// How each loader reads a skip list, rebuilt from its source: which linear layers it leaves in
/// float, and so expects in float. A plan is checked against them, since a layer that a loader
/// reads otherwise than it was written makes a file that does not open, or opens with noise.
public enum LoaderRules {
  /// diffusers 0.40 `quantizers/bitsandbytes/utils.py`, `_replace_with_bnb_linear`: the last
  /// component of the path is in the list, or an entry followed by a dot occurs anywhere in the
  /// path (`t_embedder` in `text_embedder.linear_1`), or an entry is the path.
  DIFFUSERS("diffusers") {
    @Override
    public Predicate<String> leavesInFloat(List<String> list) {
      return infix(list);
    }
  },

  /// transformers up to 4.57, `integrations/bitsandbytes.py`: as diffusers.
  TRANSFORMERS_4("transformers 4") {
    @Override
    public Predicate<String> leavesInFloat(List<String> list) {
      return infix(list);
    }
  },

  /// transformers 5, `quantizers/quantizers_utils.py`, `should_convert_module`: an entry, taken as
  /// a regular expression, matches at the start of the path, or the path ends with the entry.
  TRANSFORMERS_5("transformers 5") {
    @Override
    public Predicate<String> leavesInFloat(List<String> list) {
      List<Pattern> starts = list.stream().map(LoaderRules::regex).toList();
      return path -> {
        for (int i = 0; i < starts.size(); i++) {
          if (path.endsWith(list.get(i)) || starts.get(i).matcher(path).lookingAt()) {
            return true;
          }
        }
        return false;
      };
    }
  },

  /// AWQ in transformers and vLLM: an entry occurs anywhere in the path.
  AWQ("AWQ loaders") {
    @Override
    public Predicate<String> leavesInFloat(List<String> list) {
      return path -> list.stream().anyMatch(path::contains);
    }
  },

  /// compressed-tensors, `utils/match.py`, for its `ignore` list: an entry is the path, or after
  /// `re:` a regular expression that matches at the start of the path. The name of the layer's
  /// class, `Linear`, ignores all.
  COMPRESSED_TENSORS("compressed-tensors") {
    @Override
    public Predicate<String> leavesInFloat(List<String> list) {
      Set<String> names = Set.copyOf(list);
      List<Pattern> expressions =
          list.stream()
              .filter(entry -> entry.startsWith(REGEX))
              .map(entry -> regex(entry.substring(REGEX.length())))
              .toList();
      return path ->
          names.contains(path)
              || names.contains("Linear")
              || expressions.stream().anyMatch(regex -> regex.matcher(path).lookingAt());
    }
  };

  private static final String REGEX = "re:";
  private static final Pattern NEVER = Pattern.compile("(?!)");

  private final String label;

  LoaderRules(String label) {
    this.label = label;
  }

  /// The loader's name.
  public String label() {
    return label;
  }

  /// Tells by the path of a linear layer whether the loader leaves it in float.
  ///
  /// @param list the whole list, what the loader adds by itself included
  public abstract Predicate<String> leavesInFloat(List<String> list);

  private static Predicate<String> infix(List<String> list) {
    Set<String> names = Set.copyOf(list);
    List<String> stems = list.stream().map(entry -> entry + ".").toList();
    return path ->
        names.contains(path)
            || names.contains(path.substring(path.lastIndexOf('.') + 1))
            || stems.stream().anyMatch(path::contains);
  }

  /// An entry that is no regular expression (the loader raises an error on it) matches nothing
  /// here.
  private static Pattern regex(String entry) {
    try {
      return Pattern.compile(entry);
    } catch (PatternSyntaxException e) {
      return NEVER;
    }
  }
}
