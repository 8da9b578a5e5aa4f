package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.TensorInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/// Equality of outputs, to the byte.
final class EqualCheckpoints {
  private EqualCheckpoints() {}

  /// The same names, dtypes, shapes and bytes, whatever the files and their metadata.
  static void assertEqualTensors(Path expected, Path found) throws IOException {
    try (Checkpoint a = Checkpoints.open(expected);
        Checkpoint b = Checkpoints.open(found)) {
      assertEquals(a.tensors().keySet(), b.tensors().keySet());
      for (Map.Entry<String, TensorInfo> entry : a.tensors().entrySet()) {
        TensorInfo left = entry.getValue();
        TensorInfo right = Optional.ofNullable(b.tensors().get(entry.getKey())).orElseThrow();
        assertEquals(left.dtype(), right.dtype(), left.name());
        assertEquals(left.shape(), right.shape(), left.name());
        assertEquals(-1, a.data(left).mismatch(b.data(right)), left.name());
      }
    }
  }

  /// The same files of the same bytes.
  static void assertEqualTrees(Path expected, Path found) throws IOException {
    List<Path> names = names(expected);
    assertEquals(names, names(found));
    for (Path name : names) {
      Path file = expected.resolve(name);
      if (Files.isRegularFile(file)) {
        assertEquals(-1, Files.mismatch(file, found.resolve(name)), name.toString());
      }
    }
  }

  private static List<Path> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.map(folder::relativize).sorted().toList();
    }
  }
}
