package dev.nibble.tools.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.GeneratedImage;
import dev.nibble.runtime.Latents;
import dev.nibble.runtime.RuntimeReport;
import dev.nibble.runtime.cache.GuidanceBranch;
import dev.nibble.runtime.cache.StepDecision;
import dev.nibble.runtime.image.RgbImage;
import dev.nibble.tools.report.Comparison.Variant;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

/// A comparison as people and programs read it, from numbers made up.
class ComparisonPrinterTest {
  private static final Path FILE = Path.of("compare.png");

  private static Variant variant(String weights, String cache, double psnr, double ssim) {
    boolean computed = cache.equals("none");
    RuntimeReport.Step step =
        new RuntimeReport.Step(
            0.5f,
            7,
            List.of(
                new StepDecision(0, GuidanceBranch.CONDITIONAL, true, OptionalDouble.empty()),
                new StepDecision(
                    0, GuidanceBranch.UNCONDITIONAL, computed, OptionalDouble.of(0.25))));
    RuntimeReport report =
        new RuntimeReport(
            "cpu",
            List.of(
                new RuntimeReport.Component("text_encoder", "t", "bf16 x 2", 1),
                new RuntimeReport.Component("transformer", "d", weights, 14_700_000)),
            cache,
            1,
            List.of(new RuntimeReport.Image(1_200_000_000L, 30_000_000L, List.of(step))));
    GeneratedImage image =
        new GeneratedImage(
            new RgbImage(64, 64, new byte[3 * 64 * 64]),
            0,
            new Latents(Shape.of(1), new float[1]),
            new LinkedHashMap<>());
    return new Variant(weights, image, report, psnr, ssim);
  }

  private static Comparison comparison() {
    return new Comparison(
        List.of(
            variant("dense", "none", Double.POSITIVE_INFINITY, 1),
            variant("dense", "fora:N=2", 38.25, 0.98765),
            variant("nf4", "none", Double.POSITIVE_INFINITY, 1),
            variant("nf4", "fora:N=2", 31, 0.5)),
        List.of("what is kept"));
  }

  private static ByteArrayOutputStream bytes() {
    return new ByteArrayOutputStream();
  }

  @Test
  void theTableHasARowForEachWay() {
    ByteArrayOutputStream out = bytes();
    new ComparisonPrinter(comparison())
        .print(FILE, new PrintStream(out, true, StandardCharsets.UTF_8));
    assertEquals(
        """
        weights  transformer  seconds  computed  reused       PSNR    SSIM  cache
        dense        14.7 MB     1.23         2       0          -       -  none
        dense        14.7 MB     1.23         1       1    38.3 dB  0.9877  fora:N=2
        nf4          14.7 MB     1.23         2       0  identical  1.0000  none
        nf4          14.7 MB     1.23         1       1    31.0 dB  0.5000  fora:N=2

        wrote  compare.png
        note   what is kept
        """
            .replace("\n", System.lineSeparator()),
        out.toString(StandardCharsets.UTF_8));
  }

  @Test
  void theJsonNamesEveryCall() throws Exception {
    ByteArrayOutputStream out = bytes();
    new ComparisonPrinter(comparison())
        .json(Path.of("pipeline"), FILE, new PrintStream(out, true, StandardCharsets.UTF_8));
    JsonNode json = new ObjectMapper().readTree(out.toByteArray());
    assertEquals(1, json.get("schema").intValue());
    assertEquals(4, json.get("variants").size());
    JsonNode first = json.get("variants").get(0);
    assertTrue(first.get("psnr_db").isNull());
    assertEquals(14_700_000, first.get("transformer_bytes").longValue());
    JsonNode cached = json.get("variants").get(1);
    assertEquals(38.25, cached.get("psnr_db").doubleValue());
    assertEquals("fora:N=2", cached.get("cache").textValue());
    JsonNode image = cached.get("images").get(0);
    assertEquals(1, image.get("reused").intValue());
    JsonNode call = image.get("steps").get(0).get("calls").get(1);
    assertEquals("unconditional", call.get("branch").textValue());
    assertEquals(0.25, call.get("difference").doubleValue());
    assertEquals("what is kept", json.get("notes").get(0).textValue());
  }

  @Test
  void theSheetHasARowForEachWeights() {
    RgbImage sheet = new ComparisonPrinter(comparison()).sheet();
    assertEquals(8 + 2 * (192 + 8), sheet.width());
    assertEquals(8 + 2 * (192 + 4 + 3 * 11 + 8), sheet.height());
  }
}
