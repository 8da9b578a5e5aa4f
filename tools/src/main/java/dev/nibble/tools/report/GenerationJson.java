package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.runtime.GeneratedImage;
import dev.nibble.runtime.RuntimeReport;
import dev.nibble.runtime.cache.StepDecision;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/// Generations as JSON; `docs/generate-json.md` describes it.
final class GenerationJson {
  /// Counts up when a key changes its meaning or goes.
  static final int SCHEMA = 1;

  private GenerationJson() {}

  static ObjectNode root(List<Path> inputs, List<Path> outputs) {
    return JsonText.root("generate", inputs, outputs).put("schema", SCHEMA);
  }

  /// What all pictures of a request share.
  static void put(ObjectNode node, RuntimeReport report) {
    node.put("backend", report.backend()).put("cache", report.cache());
    ArrayNode components = node.putArray("components");
    for (RuntimeReport.Component component : report.components()) {
      components
          .addObject()
          .put("name", component.name())
          .put("path", component.path())
          .put("weights", component.weights())
          .put("weight_bytes", component.weightBytes());
    }
    node.put("text_seconds", report.textNanos() / 1e9);
  }

  /// One picture, without its file.
  static void put(ObjectNode node, GeneratedImage image, RuntimeReport.Image took) {
    node.put("index", image.index())
        .put("width", image.image().width())
        .put("height", image.image().height())
        .put("denoise_seconds", took.denoiseNanos() / 1e9)
        .put("decode_seconds", took.decodeNanos() / 1e9)
        .put("computed", took.computed())
        .put("reused", took.calls() - took.computed());
    ObjectNode parameters = node.putObject("parameters");
    image.parameters().forEach(parameters::put);
    ArrayNode steps = node.putArray("steps");
    for (int i = 0; i < took.steps().size(); i++) {
      RuntimeReport.Step step = took.steps().get(i);
      ObjectNode entry =
          steps
              .addObject()
              .put("step", i)
              .put("sigma", step.sigma())
              .put("seconds", step.nanos() / 1e9);
      ArrayNode calls = entry.putArray("calls");
      step.decisions().forEach(decision -> put(calls.addObject(), decision));
    }
  }

  private static void put(ObjectNode call, StepDecision decision) {
    call.put("branch", decision.branch().name().toLowerCase(Locale.ROOT))
        .put("computed", decision.computed());
    if (decision.difference().isPresent()) {
      JsonText.putFinite(call, "difference", decision.difference().getAsDouble());
    } else {
      call.putNull("difference");
    }
  }
}
