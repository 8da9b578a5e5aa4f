package dev.nibble.converter;

import java.util.regex.Pattern;

/// A pattern of module paths, as `--skip`, `--only` and scheme rules take it.
///
/// Without wildcards it matches where its components stand, one after the other and whole, anywhere
/// in the path: a full path, a component (`img_mod`), a prefix (`transformer_blocks.0`) or an infix
/// (`attn.to_q`). So `img_mod` matches neither `ximg_mod` nor `img_mod2`, and `layers.1` not
/// `layers.10`. `*` (or `**`) stands for any characters, dots too, `?` for exactly one; the ends of
/// the pattern still fall on the ends of components. A tensor name is taken for its module: a
/// trailing `.weight` is ignored.
record ModulePattern(String text, Pattern regex) {
  private static final String WEIGHT = ".weight";

  static ModulePattern of(String text) {
    if (text.isBlank()) {
      throw new IllegalArgumentException("an empty pattern of modules");
    }
    StringBuilder regex = new StringBuilder("(?s)(?:.*\\.)?");
    StringBuilder literal = new StringBuilder();
    String path = text.endsWith(WEIGHT) ? text.substring(0, text.length() - WEIGHT.length()) : text;
    for (int i = 0; i < path.length(); i++) {
      char c = path.charAt(i);
      if (c != '*' && c != '?') {
        literal.append(c);
        continue;
      }
      flush(literal, regex);
      boolean repeated = c == '*' && i > 0 && path.charAt(i - 1) == '*';
      if (!repeated) {
        regex.append(c == '*' ? ".*" : ".");
      }
    }
    flush(literal, regex);
    return new ModulePattern(text, Pattern.compile(regex.append("(?:\\..*)?").toString()));
  }

  boolean matches(String module) {
    return regex.matcher(module).matches();
  }

  private static void flush(StringBuilder literal, StringBuilder regex) {
    if (!literal.isEmpty()) {
      regex.append(Pattern.quote(literal.toString()));
      literal.setLength(0);
    }
  }
}
