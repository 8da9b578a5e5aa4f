package dev.nibble.runtime.models;

import dev.nibble.formats.UnsupportedException;
import dev.nibble.runtime.models.qwenimage.QwenImageTransformer;
import dev.nibble.runtime.models.zimage.ZImageTransformer;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;

/// The transformers that nibble runs.
public final class Denoisers {
  private Denoisers() {}

  /// Loads the transformer that the configuration's `_class_name` names. The weights are borrowed
  /// as long as it is used.
  ///
  /// @throws UnsupportedException for any other class
  public static Denoiser load(ComponentWeights weights, ModelConfig config) {
    String className = config.text("_class_name");
    return switch (className) {
      case "ZImageTransformer2DModel" -> ZImageTransformer.load(weights, config);
      case "QwenImageTransformer2DModel" -> QwenImageTransformer.load(weights, config);
      default ->
          throw new UnsupportedException(
              config.file().toString(),
              (className.isEmpty() ? "no '_class_name'" : "'" + className + "'")
                  + ": nibble draws with ZImageTransformer2DModel and QwenImageTransformer2DModel;"
                  + " name the directory of such a transformer");
    };
  }
}
