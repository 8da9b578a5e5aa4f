package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.tools.report.Evaluation.Distance;
import dev.nibble.tools.report.Evaluation.Picture;
import dev.nibble.tools.report.Evaluation.Prompt;
import dev.nibble.tools.report.Evaluation.Subject;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// An evaluation as JSON; `docs/evaluate-json.md` describes it.
public final class EvaluationJson {
  /// Counts up when a key changes its meaning or goes.
  private static final int SCHEMA = 1;

  private final Evaluation evaluation;

  public EvaluationJson(Evaluation evaluation) {
    this.evaluation = evaluation;
  }

  /// @param prompts the file that they are from
  /// @param html the page that was written, if one was asked for
  public void print(Path prompts, Optional<Path> html, PrintStream out) throws IOException {
    List<Path> inputs = new ArrayList<>(List.of(evaluation.pipeline(), prompts));
    evaluation.variants().forEach(variant -> inputs.add(variant.size().path()));
    ObjectNode root = JsonText.root("evaluate", inputs, html.map(List::of).orElse(List.of()));
    root.put("schema", SCHEMA).put("backend", evaluation.backend());
    root.put("settings", evaluation.settings());
    ArrayNode texts = root.putArray("prompts");
    for (Prompt prompt : evaluation.prompts()) {
      texts.addObject().put("prompt", prompt.text()).put("seed", prompt.seed());
    }
    putSize(root.putObject("reference"), evaluation.reference());
    ArrayNode variants = root.putArray("variants");
    evaluation.variants().forEach(variant -> put(variants.addObject(), variant));
    ArrayNode notes = root.putArray("notes");
    EvaluationPrinter.notes(evaluation).forEach(notes::add);
    JsonText.print(root, out);
  }

  private static void putSize(ObjectNode node, Subject subject) {
    TransformerSize size = subject.size();
    node.put("name", size.name())
        .put("path", size.path().toString())
        .put("weights", size.weights())
        .put("file_bytes", size.fileBytes())
        .put("tensor_bytes", size.tensorBytes())
        .put("memory_bytes", size.memoryBytes());
    JsonText.putFinite(node, "bits_per_weight", size.bitsPerWeight().orElse(Double.NaN));
    node.put("seconds", subject.seconds());
  }

  private void put(ObjectNode node, Subject variant) {
    putSize(node, variant);
    put(
        node,
        new Distance(variant.latentsError(), variant.psnr(), variant.ssim(), variant.perceptual()));
    JsonText.putFinite(node, "psnr_worst_tenth_db", variant.worstPsnr());
    JsonText.putFinite(node, "latents_mse_ratio", evaluation.ratio(variant));
    node.put("closer_than_first", variant.closerThan(evaluation.variants().getFirst()))
        .put("identical", variant.identical());
    ArrayNode pictures = node.putArray("pictures");
    for (Picture picture : variant.pictures()) {
      put(pictures.addObject(), picture.distance()).put("seconds", picture.seconds());
    }
    variant.layers().ifPresent(layers -> put(node.putArray("layers"), layers));
  }

  private static ObjectNode put(ObjectNode node, Distance distance) {
    JsonText.putFinite(node, "latents_mse", distance.latentsError());
    JsonText.putFinite(node, "psnr_db", distance.psnr());
    return node.put("ssim", distance.ssim()).put("vae_lpips", distance.perceptual());
  }

  private static void put(ArrayNode node, LayerErrors errors) {
    for (LayerErrors.Layer layer : errors.layers()) {
      node.addObject()
          .put("name", layer.name())
          .put("output_error", layer.error())
          .put("output_error_rtn", layer.roundToNearest());
    }
  }
}
