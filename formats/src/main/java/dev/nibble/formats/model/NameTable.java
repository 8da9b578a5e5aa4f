package dev.nibble.formats.model;

import dev.nibble.formats.model.NameRule.Form;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The names of one model in two dialects, read from a resource `names/<id>.names`:
///
/// | line | means |
/// |---|---|
/// | `img_in.* = x_embedder.*` | original name = library name; `*` is the rest of a name, `{n}` a number |
/// | `qkv.* = to_q.* + to_k.* + to_v.*` | the original's rows are these, one after the other |
/// | `linear1.* = to_q.* + 4 proj_mlp.*` | the second has four times the rows of the first |
/// | `t_embedder.*` | the same in both |
/// | `norm_final.* -` | the library has no such tensor |
/// | `... !swap`, `!squeeze`, `!transpose` | see {@link NameRule.Form} |
/// | `... !without N` | see {@link NameRule#without} |
/// | `[block]` | rules for use by others; `[]` those of the model follow |
/// | `layers.{n} = blocks.{n} @block` | every rule of `[block]`, below these paths |
/// | `prefixes A. B. -` | what files may put before original names (`-`: nothing), first what we write |
/// | `needs A = B` | a file with neither name is no model that these rules are for |
///
/// The first rule that matches a name counts.
///
/// @param needs an original and a library name; empty if anything will do
record NameTable(String id, List<String> prefixes, List<NamePattern> needs, List<NameRule> rules) {
  NameTable {
    prefixes = List.copyOf(prefixes);
    needs = List.copyOf(needs);
    rules = List.copyOf(rules);
  }

  /// @throws IllegalArgumentException if there is no such table
  static NameTable load(String id) {
    try (InputStream in = NameTable.class.getResourceAsStream("names/" + id + ".names")) {
      if (in == null) {
        throw new IllegalArgumentException("no table of names '" + id + "'");
      }
      return new Parser(id).parse(new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// A rule as written: its names may still lack what stands before them.
  private record Line(
      String original,
      List<String> library,
      List<Integer> weights,
      Form form,
      Optional<String> without) {
    Line below(String originalPath, String libraryPath) {
      return new Line(
          originalPath + "." + original,
          library.stream().map(name -> libraryPath + "." + name).toList(),
          weights,
          form,
          without);
    }

    NameRule rule() {
      NamePattern left = NamePattern.of(original);
      List<NamePattern> right = library.stream().map(NamePattern::of).toList();
      if (right.stream().anyMatch(pattern -> pattern.places() != left.places())) {
        throw new IllegalArgumentException("places differ: " + original + " = " + library);
      }
      return new NameRule(left, right, weights, form, without);
    }
  }

  private static final class Parser {
    private final String id;
    private final Map<String, List<Line>> sections = new HashMap<>();
    private final List<String> prefixes = new ArrayList<>();
    private final List<NamePattern> needs = new ArrayList<>();
    private List<Line> section = new ArrayList<>();

    Parser(String id) {
      this.id = id;
    }

    NameTable parse(String text) {
      sections.put("", section);
      for (String line : text.lines().map(String::strip).toList()) {
        if (!line.isEmpty() && !line.startsWith("#")) {
          parseLine(line);
        }
      }
      List<Line> model = sections.getOrDefault("", List.of());
      return new NameTable(id, prefixes, needs, model.stream().map(Line::rule).toList());
    }

    private void parseLine(String line) {
      if (line.startsWith("[")) {
        section =
            sections.computeIfAbsent(line.substring(1, line.length() - 1), _ -> new ArrayList<>());
      } else if (line.startsWith("prefixes ")) {
        for (String prefix : line.substring("prefixes ".length()).split(" ")) {
          prefixes.add(prefix.equals("-") ? "" : prefix);
        }
      } else if (line.startsWith("needs ")) {
        for (String name : line.substring("needs ".length()).split(" = ")) {
          needs.add(NamePattern.of(name));
        }
      } else if (line.contains(" @")) {
        include(line);
      } else {
        section.add(rule(line));
      }
    }

    private void include(String line) {
      String[] parts = line.split(" @");
      String[] paths = parts[0].split(" = ");
      List<Line> included = sections.get(parts[1]);
      if (included == null) {
        throw new IllegalArgumentException(id + ": no section before '" + line + "'");
      }
      for (Line rule : List.copyOf(included)) {
        section.add(rule.below(paths[0], paths[paths.length - 1]));
      }
    }

    private static Line rule(String line) {
      String[] flagged = line.split(" !");
      Form form = Form.SAME;
      Optional<String> without = Optional.empty();
      for (int i = 1; i < flagged.length; i++) {
        if (flagged[i].startsWith("without ")) {
          without = Optional.of(flagged[i].substring("without ".length()));
        } else {
          form = Form.valueOf(flagged[i].toUpperCase(java.util.Locale.ROOT));
        }
      }
      if (flagged[0].endsWith(" -")) {
        String dropped = flagged[0].substring(0, flagged[0].length() - 2);
        return new Line(dropped, List.of(), List.of(), form, without);
      }
      String[] sides = flagged[0].split(" = ");
      List<String> names = new ArrayList<>();
      List<Integer> weights = new ArrayList<>();
      for (String part : sides[sides.length - 1].split(" \\+ ")) {
        String[] weighted = part.split(" ");
        names.add(weighted[weighted.length - 1]);
        weights.add(weighted.length == 1 ? 1 : Integer.parseInt(weighted[0]));
      }
      return new Line(sides[0], names, weights, form, without);
    }
  }
}
