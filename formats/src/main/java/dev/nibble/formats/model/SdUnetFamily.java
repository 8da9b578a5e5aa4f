package dev.nibble.formats.model;

import dev.nibble.formats.Shape;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// The UNet of Stable Diffusion 1, 2 and XL, and control nets made of its blocks.
///
/// Source of the names: diffusers 0.40, `unet_2d_condition.py` and `convert_ldm_unet_checkpoint`.
/// `proj_in` and `proj_out` are 1x1 convolutions in version 1, linear layers in XL: the shape says
/// which. `class_embedding` (`label_emb`) is a table in the upscaler, a linear layer where it has a
/// bias.
record SdUnetFamily() implements ModelFamily {
  private static final Pattern RESNET =
      Pattern.compile(
          "(down_blocks\\.\\d+|mid_block|up_blocks\\.\\d+)\\.resnets\\.\\d+\\.time_emb_proj\\.weight");
  private static final Pattern ORIGINAL =
      Pattern.compile(
          "(input_blocks\\.\\d+|middle_block|output_blocks\\.\\d+)\\.\\d+\\.emb_layers\\.1\\.weight");

  @Override
  public String id() {
    return "sd-unet";
  }

  @Override
  public String label() {
    return "Stable Diffusion UNet";
  }

  @Override
  public Set<String> diffusersClasses() {
    return Set.of("UNet2DConditionModel");
  }

  @Override
  public Dialect dialect(Set<String> names) {
    if (NameRules.has(names, RESNET)) {
      return Dialect.LIBRARY;
    }
    return NameRules.has(names, ORIGINAL) ? Dialect.ORIGINAL : Dialect.NONE;
  }

  @Override
  public LayerKind kind(String name, Shape shape, Set<String> names) {
    return NameRules.kind(name, shape, names, Set.of("class_embedding", "label_emb"));
  }

  @Override
  public List<LayerNote> sensitive() {
    return List.of(
        new LayerNote("time_embedding", "time embedding, shared by every block"),
        new LayerNote("time_embed", "time embedding, shared by every block"),
        new LayerNote("add_embedding", "size and pooled text, shared by every block"),
        new LayerNote("class_embedding", "class embedding, shared by every block"),
        new LayerNote("label_emb", "size and pooled text, shared by every block"));
  }
}
