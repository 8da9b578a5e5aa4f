package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.converter.internal.Version;
import dev.nibble.runtime.cache.TeaCacheCalibration.Observation;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;

/// What was measured of a model, as the file that `--cache` reads, and for people.
///
/// @param model the pipeline
/// @param prompts file of prompts
/// @param count how many prompts
/// @param observations what the coefficients were fitted to
/// @param coefficients of TeaCache's polynomial, the fourth power's first
/// @param ratios of MagCache, one a step
public record Calibration(
    Path model,
    Path prompts,
    int count,
    List<Observation> observations,
    List<Double> coefficients,
    List<Double> ratios) {
  public Calibration {
    observations = List.copyOf(observations);
    coefficients = List.copyOf(coefficients);
    ratios = List.copyOf(ratios);
  }

  /// The file's text: `{"coefficients": [..], "ratios": [..], ...}`.
  public String file() {
    ObjectNode root = JsonText.object();
    root.put("tool", "nibble").put("version", Version.current()).put("model", model.toString());
    put(root);
    return JsonText.text(root);
  }

  private void put(ObjectNode root) {
    root.put("prompts", count).put("steps", ratios.size()).put("rms_error", rmsError());
    add(root.putArray("coefficients"), coefficients);
    add(root.putArray("ratios"), ratios);
  }

  private static void add(ArrayNode array, List<Double> numbers) {
    numbers.forEach(array::add);
  }

  /// Root of the mean square by which the polynomial misses what was measured.
  double rmsError() {
    double sum = 0;
    for (Observation observation : observations) {
      double value = 0;
      for (double coefficient : coefficients) {
        value = value * observation.input() + coefficient;
      }
      sum += (value - observation.output()) * (value - observation.output());
    }
    return Math.sqrt(sum / observations.size());
  }

  /// @param output where the file is
  public void print(Path output, PrintStream out) {
    TextTable facts = new TextTable("ll");
    facts.row("measured", "%d prompts, %d steps".formatted(count, ratios.size()));
    facts.row(
        "fit",
        Html.format(
            "misses by %.4f (RMS) over %d pairs of steps", rmsError(), observations.size()));
    facts.row("wrote", output.toString());
    facts.row("use", "--cache teacache:coefficients=" + output);
    facts.row("", "--cache magcache:ratios=%s (with %d steps)".formatted(output, ratios.size()));
    facts.print(out, 0);
    out.flush();
  }

  /// @param output where the file is
  public void json(Path output, PrintStream out) throws IOException {
    ObjectNode root = JsonText.root("calibrate", List.of(model, prompts), List.of(output));
    put(root);
    JsonText.print(root, out);
  }
}
