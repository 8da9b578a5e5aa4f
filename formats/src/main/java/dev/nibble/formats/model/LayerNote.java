package dev.nibble.formats.model;

/// Layers of a model that deserve attention, and why.
///
/// @param pattern one or more successive components of a module path, as `img_mod` or
///   `self_attn.v_proj`
/// @param reason in a few words
public record LayerNote(String pattern, String reason) {
  /// Whether a layer is meant.
  public boolean matches(String module) {
    return ("." + module + ".").contains("." + pattern + ".");
  }
}
