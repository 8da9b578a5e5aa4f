package dev.nibble.converter;

import dev.nibble.formats.Text;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Which modules a request wants quantized, and how: `--skip`, `--only` and the scheme rules.
///
/// | pattern | matches |
/// |---|---|
/// | `transformer_blocks.0.attn.to_q` | that module |
/// | `img_mod` | every module under a component of that name |
/// | `transformer_blocks.0`, `attn.to_q` | components in a row: a prefix, an infix |
/// | `transformer_blocks.*.attn.to_?` | `*` any characters, dots too; `?` one character |
///
/// Components match whole: `layers.1` is not `layers.10`, `t_embedder` is not `text_embedder`. A
/// trailing `.weight` is ignored. `--skip` beats everything, then comes `--only`, then the last
/// scheme rule that matches.
public final class SkipRules {
  private final List<ModulePattern> skip;
  private final List<ModulePattern> only;
  private final List<Rule> schemes;

  private record Rule(ModulePattern pattern, SchemeRule scheme) {}

  /// @throws IllegalArgumentException if a pattern is empty
  public SkipRules(List<String> skip, List<String> only, List<SchemeRule> schemes) {
    this.skip = skip.stream().map(ModulePattern::of).toList();
    this.only = only.stream().map(ModulePattern::of).toList();
    this.schemes =
        schemes.stream().map(rule -> new Rule(ModulePattern.of(rule.pattern()), rule)).toList();
  }

  public static SkipRules of(ConversionRequest request) {
    return new SkipRules(request.skip(), request.only(), request.schemes());
  }

  /// Whether a single pattern matches a module.
  public static boolean matches(String pattern, String module) {
    return ModulePattern.of(pattern).matches(module);
  }

  /// The first `--skip` pattern that matches a module.
  public Optional<String> skippedBy(String module) {
    return skip.stream()
        .filter(pattern -> pattern.matches(module))
        .map(ModulePattern::text)
        .findFirst();
  }

  /// Whether `--only` lets a module pass; without `--only` every module does.
  public boolean allows(String module) {
    return only.isEmpty() || only.stream().anyMatch(pattern -> pattern.matches(module));
  }

  /// The last scheme rule that matches a module.
  public Optional<SchemeRule> schemeOf(String module) {
    for (Rule rule : schemes.reversed()) {
      if (rule.pattern().matches(module)) {
        return Optional.of(rule.scheme());
      }
    }
    return Optional.empty();
  }

  /// How many linear layers each pattern matches, by the option as typed: `--skip img_mod`. The
  /// rule `*` is left out: it is the scheme of everything.
  public Map<String, Integer> matches(Collection<String> linears) {
    Map<String, Integer> counts = new LinkedHashMap<>();
    skip.forEach(pattern -> counts.put("--skip " + pattern.text(), count(pattern, linears)));
    only.forEach(pattern -> counts.put("--only " + pattern.text(), count(pattern, linears)));
    for (Rule rule : schemes) {
      if (!rule.scheme().pattern().equals("*")) {
        counts.put(option(rule), count(rule.pattern(), linears));
      }
    }
    return counts;
  }

  /// Checks that every pattern matches something: `--only` and scheme patterns a linear layer,
  /// `--skip` patterns any module (to skip a norm is pointless, not wrong).
  ///
  /// @param model what to call the model in the message
  /// @param linears module paths of the linear layers
  /// @param modules module paths of all tensors
  /// @return notes on `--skip` patterns that match no linear layer
  /// @throws ConversionException naming the pattern, and the nearest names
  public List<String> check(String model, Collection<String> linears, Collection<String> modules) {
    List<String> notes = new ArrayList<>();
    for (ModulePattern pattern : skip) {
      if (count(pattern, modules) == 0) {
        throw noMatch("--skip " + quoted(pattern), "module", pattern, model, modules);
      }
      if (count(pattern, linears) == 0) {
        notes.add(
            "--skip "
                + quoted(pattern)
                + " matches no linear layer: what it names is never quantized");
      }
    }
    for (ModulePattern pattern : only) {
      if (count(pattern, linears) == 0) {
        throw noMatch("--only " + quoted(pattern), "linear layer", pattern, model, linears);
      }
    }
    for (Rule rule : schemes) {
      if (count(rule.pattern(), linears) == 0 && !rule.scheme().pattern().equals("*")) {
        throw noMatch(
            "--scheme " + quoted(rule.pattern()), "linear layer", rule.pattern(), model, linears);
      }
    }
    return notes;
  }

  private static ConversionException noMatch(
      String option,
      String kind,
      ModulePattern pattern,
      String model,
      Collection<String> candidates) {
    List<String> nearest = NearestNames.of(pattern.text(), candidates);
    return new ConversionException(
        model
            + ": "
            + option
            + " matches no "
            + kind
            + (nearest.isEmpty()
                ? "; `nibble inspect` lists the names"
                : "; nearest: " + Text.printable(String.join(", ", nearest))));
  }

  private static int count(ModulePattern pattern, Collection<String> modules) {
    int count = 0;
    for (String module : modules) {
      if (pattern.matches(module)) {
        count++;
      }
    }
    return count;
  }

  private static String quoted(ModulePattern pattern) {
    return "'" + Text.printable(pattern.text()) + "'";
  }

  private static String option(Rule rule) {
    return "--scheme " + rule.scheme().pattern() + "=" + rule.scheme().scheme().id();
  }
}
