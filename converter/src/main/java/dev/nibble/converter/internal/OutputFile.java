package dev.nibble.converter.internal;

import dev.nibble.converter.TensorPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// One file of the output and the source tensors that go into it.
///
/// @param name its name in the output directory
/// @param tensors whole: a weight and its statistics are never split over files, since loaders look
///   for them in the same shard
public record OutputFile(String name, List<TensorPlan> tensors) {
  private static final String SUFFIX = ".safetensors";

  public OutputFile {
    tensors = List.copyOf(tensors);
  }

  /// Divides tensors over shards in their order, as diffusers and transformers do: a new shard
  /// begins where the next tensor would exceed the limit. A tensor larger than the limit has a
  /// shard of its own.
  ///
  /// @param base name without suffix, `diffusion_pytorch_model`
  public static List<OutputFile> shards(String base, List<TensorPlan> tensors, long maxBytes) {
    List<List<TensorPlan>> shards = new ArrayList<>();
    List<TensorPlan> shard = new ArrayList<>();
    long bytes = 0;
    for (TensorPlan tensor : tensors) {
      if (!shard.isEmpty() && bytes + tensor.bytesOut() > maxBytes) {
        shards.add(shard);
        shard = new ArrayList<>();
        bytes = 0;
      }
      shard.add(tensor);
      bytes += tensor.bytesOut();
    }
    shards.add(shard);
    if (shards.size() == 1) {
      return List.of(new OutputFile(base + SUFFIX, shards.getFirst()));
    }
    List<OutputFile> files = new ArrayList<>();
    for (List<TensorPlan> part : shards) {
      files.add(
          new OutputFile(
              String.format(
                  Locale.ROOT, "%s-%05d-of-%05d%s", base, files.size() + 1, shards.size(), SUFFIX),
              part));
    }
    return files;
  }
}
