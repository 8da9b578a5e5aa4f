package dev.nibble.runtime.calibration;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.calibration.CanonicalConfig;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.RuntimeReport;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Stream;

/// All that decides what a run records, so that it is not continued by another. How much memory it
/// may use and on how many threads it computes is not among it, for results do not depend on that.
///
/// @param facts by what a person calls them
record RunIdentity(SequencedMap<String, String> facts) {
  private static final ObjectMapper JSON = new ObjectMapper();

  static RunIdentity of(Pipeline pipeline, CalibrationRecorder recorder, StatisticsRequest request)
      throws IOException {
    SequencedMap<String, String> facts = new LinkedHashMap<>();
    facts.put("tool", request.tool());
    facts.put("component", recorder.component());
    facts.put("model", model(pipeline, recorder.component()));
    facts.put("prompts", digest(request.prompts()));
    facts.put("seed", Long.toString(request.seed()));
    facts.put("steps", Integer.toString(request.steps()));
    facts.put("guidance", Double.toString(request.guidance()));
    facts.put("size", request.width() + "x" + request.height());
    facts.put("samples", Integer.toString(recorder.samples()));
    facts.put("hessians", Boolean.toString(recorder.hessians()));
    // Of the CPU the number of threads stands in its description.
    String device = pipeline.device();
    facts.put("device", device.startsWith("CPU") ? "CPU" : device);
    return new RunIdentity(facts);
  }

  /// Names, sizes and times of the files of all models, for the others decide what reaches the one
  /// that is recorded; and its configuration.
  private static String model(Pipeline pipeline, String component) throws IOException {
    List<String> texts = new ArrayList<>();
    for (RuntimeReport.Component part : pipeline.components()) {
      Path path = Path.of(part.path()).toRealPath();
      try (Stream<Path> files = Files.walk(path)) {
        for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
          texts.add(
              "%s %d %d"
                  .formatted(file, Files.size(file), Files.getLastModifiedTime(file).toMillis()));
        }
      }
    }
    texts.add(CanonicalConfig.of(pipeline.config(component)));
    return digest(texts);
  }

  private static String digest(List<String> texts) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (String text : texts) {
        digest.update(text.getBytes(StandardCharsets.UTF_8));
        digest.update((byte) 0);
      }
      return HexFormat.of().formatHex(digest.digest(), 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }

  String text() {
    ObjectNode node = JSON.createObjectNode();
    facts.forEach(node::put);
    return node.toString();
  }

  /// @param state where it was found, for messages
  /// @param text of the run that began
  /// @throws NibbleException if that was another run
  void requireSame(Path state, String text) {
    Map<String, String> other = new LinkedHashMap<>();
    try {
      JSON.readTree(text)
          .properties()
          .forEach(entry -> other.put(entry.getKey(), entry.getValue().asText()));
    } catch (JsonProcessingException e) {
      throw new NibbleException(state + ": is no state of a calibration: --restart drops it", e);
    }
    facts.forEach((key, value) -> {
      String before = other.getOrDefault(key, "none");
      if (!before.equals(value)) {
        throw new NibbleException(
            "%s: keeps what another run began (%s %s, now %s): repeat that command to go on, or give --restart to drop it"
                .formatted(state, key, before, value));
      }
    });
  }
}
