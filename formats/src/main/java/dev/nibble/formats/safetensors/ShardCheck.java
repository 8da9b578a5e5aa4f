package dev.nibble.formats.safetensors;

import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import java.nio.file.Path;
import java.util.Map;

/// Compares shards with their index: each must hold exactly what the index says.
record ShardCheck(Path indexPath, ShardIndex index) {
  private static final String CURE =
      ": index and shards are of different versions; fetch them again";

  void requireSame(Path shard, SafetensorsHeader header) {
    String file = shard.getFileName().toString();
    for (Map.Entry<String, String> entry : index.weightMap().entrySet()) {
      if (entry.getValue().equals(file) && !header.tensors().containsKey(entry.getKey())) {
        throw new FormatException(
            Where.in(shard).tensor(entry.getKey()),
            "the tensor, as " + indexPath.getFileName() + " places it in this shard",
            "none of that name" + CURE);
      }
    }
    for (String tensor : header.tensors().keySet()) {
      String place = index.weightMap().get(tensor);
      if (!file.equals(place)) {
        throw new FormatException(
            Where.in(shard).tensor(tensor),
            "only tensors that " + indexPath.getFileName() + " places in this shard",
            place == null
                ? "one that the index does not have" + CURE
                : "one that the index places in " + place + CURE);
      }
    }
  }
}
