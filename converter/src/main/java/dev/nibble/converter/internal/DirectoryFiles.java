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
  private static final String CONFIGURATION = "config.json";

  private final ConversionPlan plan;

  DirectoryFiles(ConversionPlan plan) {
    this.plan = plan;
  }

  /// Writes them into a folder.
  ///
  /// @param tensorBytes bytes of all tensors written, for the index
  void write(Path folder, List<ShardPlan> shards, long tensorBytes) throws IOException {
    for (Map.Entry<String, Path> copy : plan.copied().entrySet()) {
      Files.copy(copy.getValue(), folder.resolve(copy.getKey()));
    }
    Optional<String> configuration = plan.configuration();
    if (configuration.isPresent()) {
      Files.writeString(folder.resolve(CONFIGURATION), configuration.get());
      for (Map.Entry<String, String> twin : twins().entrySet()) {
        Files.writeString(folder.resolve(twin.getKey()), twin.getValue());
      }
    }
    if (shards.size() > 1) {
      index(shards, tensorBytes).write(folder.resolve(indexName()));
    }
  }

  /// Their final paths.
  List<Path> paths(List<ShardPlan> shards) {
    List<Path> paths = new ArrayList<>();
    plan.copied().keySet().forEach(name -> paths.add(plan.target().resolve(name)));
    if (plan.configuration().isPresent()) {
      paths.add(plan.target().resolve(CONFIGURATION));
      twins().keySet().forEach(name -> paths.add(plan.target().resolve(name)));
    }
    if (shards.size() > 1) {
      paths.add(plan.target().resolve(indexName()));
    }
    return paths;
  }

  private Map<String, String> twins() {
    return plan.configuration().map(QuantizationConfig::twins).orElse(Map.of());
  }

  private String indexName() {
    return plan.baseName() + ".safetensors.index.json";
  }

  private static ShardIndex index(List<ShardPlan> shards, long tensorBytes) {
    Map<String, String> weightMap = new TreeMap<>();
    for (ShardPlan shard : shards) {
      shard.tensorNames().forEach(name -> weightMap.put(name, shard.file().name()));
    }
    return new ShardIndex(weightMap, OptionalLong.of(tensorBytes));
  }
}
