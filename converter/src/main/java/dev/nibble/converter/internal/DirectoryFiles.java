package dev.nibble.converter.internal;

import dev.nibble.converter.ConversionPlan;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.safetensors.ShardIndex;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/// The files of an output directory other than the weights: configuration, shard index, and what is
/// copied from the source directory.
final class DirectoryFiles {
  private final ConversionPlan plan;

  DirectoryFiles(ConversionPlan plan) {
    this.plan = plan;
  }

  /// Writes them into a folder; returns their final paths.
  ///
  /// @param tensorBytes bytes of all tensors written, for the index
  List<Path> write(Path folder, List<ShardPlan> shards, long tensorBytes) throws IOException {
    List<Path> written = new ArrayList<>();
    for (Map.Entry<String, Path> copy : plan.copied().entrySet()) {
      Files.copy(copy.getValue(), folder.resolve(copy.getKey()));
      written.add(plan.target().resolve(copy.getKey()));
    }
    Optional<String> configuration = plan.configuration();
    if (configuration.isPresent()) {
      Files.writeString(folder.resolve("config.json"), configuration.get());
      written.add(plan.target().resolve("config.json"));
      for (Map.Entry<String, String> twin :
          QuantizationConfig.twins(configuration.get()).entrySet()) {
        Files.writeString(folder.resolve(twin.getKey()), twin.getValue());
        written.add(plan.target().resolve(twin.getKey()));
      }
    }
    if (shards.size() > 1) {
      String name = plan.baseName() + ".safetensors.index.json";
      index(shards, tensorBytes).write(folder.resolve(name));
      written.add(plan.target().resolve(name));
    }
    return written;
  }

  private static ShardIndex index(List<ShardPlan> shards, long tensorBytes) {
    Map<String, String> weightMap = new TreeMap<>();
    for (ShardPlan shard : shards) {
      shard.tensorNames().forEach(name -> weightMap.put(name, shard.file().name()));
    }
    return new ShardIndex(weightMap, OptionalLong.of(tensorBytes));
  }
}
