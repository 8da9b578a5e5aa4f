package dev.nibble.tools;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.NibbleException;
import dev.nibble.runtime.bench.Measurement;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/// Times of other programs for the same work on the same device: what `rivals.py`, beside this
/// class, finds importable in a Python.
final class Rivals {
  private static final String SCRIPT = "rivals.py";

  private Rivals() {}

  /// A rival's time.
  ///
  /// @param op as {@link Measurement#op()} names it
  /// @param rival such as `bitsandbytes`
  /// @param micros median time in microseconds
  record Time(String op, String rival, double micros) {}

  /// Runs the script.
  ///
  /// @param python an interpreter
  /// @param ordinal of the device
  /// @param measured what to time
  /// @throws NibbleException if the interpreter can't be started or the script fails
  static List<Time> measure(Path python, int ordinal, List<Measurement> measured)
      throws IOException {
    try (TemporaryFolder folder = TemporaryFolder.create()) {
      Path script = folder.path().resolve(SCRIPT);
      try (InputStream in = Rivals.class.getResourceAsStream(SCRIPT)) {
        Files.copy(Objects.requireNonNull(in), script, StandardCopyOption.REPLACE_EXISTING);
      }
      Path wanted = folder.path().resolve("ops.txt");
      Files.write(wanted, measured.stream().map(Measurement::op).toList());
      return run(python, script, ordinal, wanted);
    }
  }

  private static List<Time> run(Path python, Path script, int ordinal, Path wanted)
      throws IOException {
    Process process;
    try {
      process =
          new ProcessBuilder(
                  python.toString(),
                  script.toString(),
                  Integer.toString(ordinal),
                  wanted.toString())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
    } catch (IOException e) {
      throw new NibbleException(
          "--python %s: can't be started: name a Python interpreter".formatted(python), e);
    }
    List<Time> times = new ArrayList<>();
    try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
      for (String line = out.readLine(); line != null; line = out.readLine()) {
        if (line.startsWith("{")) { // libraries print what they like
          times.add(read(line));
        }
      }
      int code = process.waitFor();
      if (code != 0) {
        throw new NibbleException(
            "--python %s: the rivals' script ended with %d; see above".formatted(python, code));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new NibbleException("the rivals' times were interrupted", e);
    } finally {
      process.destroy();
    }
    return times;
  }

  static Time read(String line) throws IOException {
    JsonNode json = new ObjectMapper().readTree(line);
    return new Time(
        json.path("op").asText(), json.path("rival").asText(), json.path("micros").asDouble());
  }

  /// Times by rival, then by operation.
  static Map<String, Map<String, Double>> table(List<Time> times) {
    Map<String, Map<String, Double>> table = new LinkedHashMap<>();
    for (Time time : times) {
      table.computeIfAbsent(time.rival(), _ -> new LinkedHashMap<>()).put(time.op(), time.micros());
    }
    return table;
  }
}
