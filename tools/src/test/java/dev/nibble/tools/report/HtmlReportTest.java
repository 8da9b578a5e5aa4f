package dev.nibble.tools.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.SourceTensor;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantError;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.LogicalTensor;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.xml.sax.InputSource;

class HtmlReportTest {
  private static final String HOSTILE = "x.0.<script>alert(\"1\")</script>&'.weight";

  @Test
  void holdsEverythingAndAsksForNothing() throws Exception {
    String page = page();
    assertFalse(page.contains("<script"), "a name became markup");
    assertFalse(Pattern.compile("(src|href|url\\()").matcher(page).find(), "refers to elsewhere");
    assertTrue(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;"));
    assertTrue(page.contains("prefers-color-scheme: dark"));
    assertTrue(page.contains("1.99<span>"), "the ratio");
  }

  @Test
  void theChartIsWellFormedWithAPointForEachLayer() throws Exception {
    String page = page();
    String svg = page.substring(page.indexOf("<svg"), page.indexOf("</svg>") + 6);
    var document =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(new InputSource(new StringReader(svg)));
    assertEquals(13, document.getElementsByTagName("circle").getLength());
    assertEquals(1, document.getElementsByTagName("polyline").getLength());
  }

  @Test
  void blocksAreInNumericOrder() throws Exception {
    String chart = ErrorChart.draw(results());
    assertTrue(chart.indexOf("blocks.2.attn.to_q") < chart.indexOf("blocks.10.attn.to_q"), chart);
  }

  @Test
  void nothingQuantizedDrawsNothing() {
    assertEquals("", ErrorChart.draw(List.of(kept())));
  }

  private static String page() throws Exception {
    return HtmlReport.of(report(), List.of("quantize", "model<b>", "--int8"), "0.0.0");
  }

  private static ConversionReport report() {
    List<TensorResult> results = results();
    ConversionRequest request =
        ConversionRequest.builder(Path.of("model<b>")).scheme(new LlmInt8()).build();
    ConversionPlan plan =
        new ConversionPlan(
            request,
            List.of(),
            "some",
            results.stream().map(TensorResult::plan).toList(),
            Path.of("out"),
            true,
            "model",
            Optional.empty(),
            Map.of(),
            Optional.empty(),
            Map.of(),
            List.of("opens <somewhere>"));
    return new ConversionReport(plan, results, List.of(), 1, 1, 1_000_000_000L);
  }

  /// Twelve blocks in alphabetical order, as files have them, a hostile name, and a kept tensor.
  private static List<TensorResult> results() {
    List<TensorResult> results = new ArrayList<>();
    List.of(0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)
        .forEach(block -> results.add(quantized("blocks." + block + ".attn.to_q.weight", block)));
    results.add(quantized(HOSTILE, 3));
    results.add(kept());
    return results;
  }

  private static TensorResult quantized(String name, int error) {
    TensorInfo info = new TensorInfo(name, DType.BF16, Shape.of(64, 64), 0, 0, 8192);
    TensorPlan plan =
        new TensorPlan.Quantize(
            SourceTensor.of(new LogicalTensor.Dense(info)),
            new LlmInt8(),
            new BitsAndBytesStorage(),
            List.of(),
            "linear layer");
    return new TensorResult(plan, 4096, Optional.of(new QuantError(4096, 100, 1 + error, 0.1)));
  }

  private static TensorResult kept() {
    TensorInfo info = new TensorInfo("norm.weight", DType.BF16, Shape.of(64), 0, 0, 512);
    return new TensorResult(
        new TensorPlan.Keep(SourceTensor.of(new LogicalTensor.Dense(info)), "norm"),
        512,
        Optional.empty());
  }
}
