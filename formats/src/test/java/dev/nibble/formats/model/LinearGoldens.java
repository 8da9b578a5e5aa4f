package dev.nibble.formats.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Shape;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// What the real libraries say about a class: every tensor, its module, and whether bitsandbytes
/// would quantize it.
record LinearGoldens(
    String id, String className, List<String> keptInFp32, Map<String, Tensor> tensors) {

  record Tensor(Shape shape, String module, boolean quantized) {}

  static List<String> ids() {
    try (Stream<Path> files = Files.list(Fixtures.path("goldens/linears"))) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".json") && !name.equals("skip_rules.json"))
          .map(name -> name.substring(0, name.length() - 5))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static LinearGoldens read(String id) throws IOException {
    JsonNode root =
        new ObjectMapper().readTree(Fixtures.path("goldens/linears/" + id + ".json").toFile());
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : root.get("tensors").properties()) {
      JsonNode node = entry.getValue();
      long[] dims = new long[node.get("shape").size()];
      for (int i = 0; i < dims.length; i++) {
        dims[i] = node.get("shape").get(i).longValue();
      }
      tensors.put(
          entry.getKey(),
          new Tensor(
              Shape.of(dims),
              node.get("module").textValue(),
              node.get("quantized").booleanValue()));
    }
    List<String> kept = new ArrayList<>();
    root.get("keep_in_fp32_modules").forEach(name -> kept.add(name.textValue()));
    return new LinearGoldens(id, root.get("class").textValue(), kept, tensors);
  }
}
