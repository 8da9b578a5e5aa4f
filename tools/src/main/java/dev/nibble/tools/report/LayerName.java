package dev.nibble.tools.report;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A tensor's name, taken apart for drawing: `transformer_blocks.7.attn.to_q.weight` is the type
/// `attn.to_q` in the column `transformer_blocks.7`.
///
/// @param column the block it belongs to, or [#OUTSIDE]
/// @param type its place in that block
/// @param role what such layers do, judged by the type's name
record LayerName(String column, String type, Role role) {
  /// The column of everything that belongs to no numbered block.
  static final String OUTSIDE = "outside blocks";

  private static final Pattern BLOCK = Pattern.compile("(.*?\\.\\d{1,9})\\.(.+)");

  /// What a layer does; the order is that of the legend.
  enum Role {
    ATTENTION("attention", Pattern.compile("attn|attention|to_[qkv]|qkv|[qkvo]_proj|sa_layer")),
    FEED_FORWARD(
        "feed forward",
        Pattern.compile(
            "mlp|(^|\\.)ff|feed_?forward|fc[12]|gate_proj|up_proj|down_proj|\\.w[123i]")),
    MODULATION("modulation", Pattern.compile("mod|adaln|ada_ln|norm|scale_shift")),
    OTHER("other", Pattern.compile(""));

    private final String label;
    private final Pattern pattern;

    Role(String label, Pattern pattern) {
      this.label = label;
      this.pattern = pattern;
    }

    String label() {
      return label;
    }

    /// What the style sheet calls it, behind `r-`.
    String css() {
      return name().toLowerCase(Locale.ROOT);
    }

    private static Role of(String type) {
      String lower = type.toLowerCase(Locale.ROOT);
      for (Role role : values()) {
        if (role.pattern.matcher(lower).find()) {
          return role;
        }
      }
      return OTHER;
    }
  }

  /// The stack of blocks that the column belongs to: `transformer_blocks`.
  String stack() {
    return column.equals(OUTSIDE) ? OUTSIDE : column.substring(0, column.lastIndexOf('.'));
  }

  /// Number of the block in its stack; 0 outside.
  long block() {
    return column.equals(OUTSIDE)
        ? 0
        : Long.parseLong(column.substring(column.lastIndexOf('.') + 1));
  }

  static LayerName of(String tensor) {
    String module = tensor.endsWith(".weight") ? tensor.substring(0, tensor.length() - 7) : tensor;
    Matcher block = BLOCK.matcher(module);
    return block.matches()
        ? new LayerName(block.group(1), block.group(2), Role.of(block.group(2)))
        : new LayerName(OUTSIDE, module, Role.of(module));
  }
}
