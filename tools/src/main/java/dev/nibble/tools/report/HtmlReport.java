package dev.nibble.tools.report;

import dev.nibble.converter.CalibrationResult;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.tools.report.LayerName.Role;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/// The page that `--report` writes: one file with everything in it, no scripts, light and dark.
public final class HtmlReport {
  /// What every page has in its head, and no other file.
  public static final String MARK = "<meta name=\"generator\" content=\"nibble\">";

  private static final int WORST = 10;

  private final ConversionReport report;
  private final Totals totals;
  private final StringBuilder page = new StringBuilder(1 << 16);

  private HtmlReport(ConversionReport report) {
    this.report = report;
    this.totals = Totals.of(report);
  }

  /// The page for a conversion.
  ///
  /// @param arguments the command line, as it was given
  /// @param version of nibble
  public static String of(ConversionReport report, List<String> arguments, String version)
      throws IOException {
    HtmlReport html = new HtmlReport(report);
    html.head();
    html.headline();
    html.tiles();
    html.chart();
    html.sizes();
    html.worst();
    html.outputs();
    html.tensors();
    html.options(arguments, version);
    html.add(HtmlPage.END);
    return html.page.toString();
  }

  private void head() throws IOException {
    page.append(HtmlPage.head(sourceName() + ", quantized by nibble", "report.css"));
  }

  private String sourceName() {
    return fileName(report.plan().request().source());
  }

  private static String fileName(Path path) {
    Path name = path.toAbsolutePath().normalize().getFileName();
    return name == null ? path.toString() : name.toString();
  }

  private void headline() {
    ConversionPlan plan = report.plan();
    add("<header><p class=\"brand\">nibble</p>");
    add("<h1>%s</h1>", Html.name(sourceName()));
    add(
        "<p class=\"sub\">%s &middot; family %s &middot; %d of %d tensors quantized &middot; written"
            + " to <code>%s</code></p></header>",
        Html.escape(String.join(", ", schemes())),
        Html.name(plan.family()),
        totals.quantized(),
        totals.quantized() + totals.kept(),
        Html.name(fileName(plan.target())));
    double part = totals.bytesIn() == 0 ? 1 : (double) totals.bytesOut() / totals.bytesIn();
    add("<section class=\"hero\"><div class=\"bars\">");
    bar("before", "was", 100, ByteSize.human(totals.bytesIn()));
    bar("after", "now", Math.min(100, 100 * part), ByteSize.human(totals.bytesOut()));
    add("</div><p class=\"ratio\">%.2f<span>&times; smaller</span></p></section>", totals.ratio());
  }

  private List<String> schemes() {
    return report.plan().request().schemes().stream().map(rule -> rule.scheme().id()).toList();
  }

  private void bar(String label, String kind, double percent, String size) {
    add(
        "<div class=\"bar %s\"><span class=\"label\">%s</span><span class=\"track\"><i"
            + " style=\"width:%.2f%%\"></i></span><b>%s</b></div>",
        kind, label, percent, size);
  }

  private void tiles() {
    add("<section class=\"tiles\">");
    tile(Html.format("%.2f", totals.bitsPerWeight()), "bits per quantized weight");
    totals.meanSnr().ifPresent(snr -> tile(Html.format("%.2f dB", snr), "mean signal to noise"));
    tile(String.valueOf(totals.quantized()), "tensors quantized");
    tile(String.valueOf(totals.kept()), "tensors kept");
    tile(
        Html.format("%.2f s", totals.seconds()),
        Html.format("%.2f GB/s", totals.gigabytesPerSecond()));
    add("</section>");
  }

  private void tile(String number, String label) {
    add("<div><b>%s</b><span>%s</span></div>", number, label);
  }

  private void chart() {
    String chart = ErrorChart.draw(report.tensors());
    if (chart.isEmpty()) {
      return;
    }
    add("<section><h2>Error by layer</h2>");
    add(
        "<p class=\"hint\">Signal to noise ratio of each quantized weight: higher is closer to the"
            + " original. A line follows one layer type through the blocks; point at it for its"
            + " name.</p>");
    add("<p class=\"legend\">");
    for (Role role : Role.values()) {
      if (report.tensors().stream()
          .filter(Totals::isLossy)
          .anyMatch(result -> role(result) == role)) {
        add("<span class=\"r-%s\">%s</span>", role.css(), role.label());
      }
    }
    add("</p>");
    page.append(chart).append("</section>\n");
  }

  private static Role role(TensorResult result) {
    return LayerName.of(result.plan().source().name()).role();
  }

  private void sizes() {
    Map<Role, long[]> roles = new EnumMap<>(Role.class);
    for (TensorResult result : report.tensors()) {
      long[] sums = roles.computeIfAbsent(role(result), key -> new long[2]);
      sums[0] += result.plan().source().byteSize();
      sums[1] += result.bytesOut();
    }
    long largest = 1;
    for (long[] sums : roles.values()) {
      largest = Math.max(largest, Math.max(sums[0], sums[1]));
    }
    add("<section><h2>Where the bytes are</h2><div class=\"sizes\">");
    for (Map.Entry<Role, long[]> entry : roles.entrySet()) {
      long[] sums = entry.getValue();
      add(
          "<div class=\"size r-%s\"><span>%s</span><span class=\"track\"><i class=\"was\""
              + " style=\"width:%.2f%%\"></i><i class=\"now\" style=\"width:%.2f%%\"></i></span>"
              + "<span class=\"numbers\">%s &rarr; <b>%s</b></span></div>",
          entry.getKey().css(),
          entry.getKey().label(),
          100.0 * sums[0] / largest,
          100.0 * sums[1] / largest,
          ByteSize.human(sums[0]),
          ByteSize.human(sums[1]));
    }
    add("</div></section>");
  }

  private void worst() {
    List<TensorResult> lossy = Totals.lossy(report.tensors());
    if (lossy.isEmpty()) {
      return;
    }
    List<TensorResult> worst = lossy.subList(0, Math.min(WORST, lossy.size()));
    double most = relativePercent(worst.getFirst());
    add("<section><h2>What lost most</h2><table><thead><tr><th>tensor</th><th>shape</th>");
    add("<th class=\"n\">SNR</th><th class=\"n\">relative error</th><th></th></tr></thead><tbody>");
    for (TensorResult result : worst) {
      double percent = relativePercent(result);
      add(
          "<tr><td class=\"name\">%s</td><td>%s</td><td class=\"n\">%.2f dB</td><td class=\"n\">%.2f"
              + " %%</td><td class=\"r-%s\"><span class=\"track\"><i style=\"width:%.1f%%\"></i>"
              + "</span></td></tr>",
          Html.name(result.plan().source().name()),
          result.plan().source().shape(),
          Totals.snrDb(result),
          percent,
          role(result).css(),
          most > 0 && Double.isFinite(percent) ? 100 * percent / most : 0);
    }
    add("</tbody></table></section>");
  }

  private static double relativePercent(TensorResult result) {
    return 100 * result.error().map(error -> error.relative()).orElse(0.0);
  }

  private void outputs() {
    Optional<CalibrationTotals> calibration = CalibrationTotals.of(report);
    if (calibration.isEmpty()) {
      return;
    }
    add("<section><h2>What calibration did for the outputs of layers</h2>");
    Stream.of(calibration.get().errors(), calibration.get().damping())
        .flatMap(Optional::stream)
        .forEach(note -> add("<p class=\"hint\">%s</p>", Html.escape(note)));
    add("<table><thead><tr><th>layer</th><th class=\"n\">rounded to nearest</th>");
    add("<th class=\"n\">as written</th><th class=\"n\">ratio</th></tr></thead><tbody>");
    for (TensorResult result : calibration.get().layers()) {
      result
          .calibration()
          .flatMap(CalibrationResult::outputs)
          .ifPresent(outputs ->
              add(
                  "<tr><td class=\"name\">%s</td><td class=\"n\">%.3f %%</td><td class=\"n\">%.3f"
                      + " %%</td><td class=\"n\">%.2f</td></tr>",
                  Html.name(result.plan().source().name()),
                  100 * outputs.nearest(),
                  100 * outputs.calibrated(),
                  outputs.nearest() == 0 ? 1 : outputs.calibrated() / outputs.nearest()));
    }
    add("</tbody></table></section>");
  }

  private void tensors() {
    add("<section><details><summary>All %d tensors</summary>", report.tensors().size());
    add("<table><thead><tr><th>tensor</th><th>shape</th><th>was</th><th>now</th>");
    add("<th class=\"n\">bytes before</th><th class=\"n\">after</th><th class=\"n\">SNR, dB</th>");
    add("<th>why</th></tr></thead><tbody>");
    for (TensorResult result : report.tensors()) {
      add(
          "<tr><td class=\"name\">%s</td><td>%s</td><td>%s</td><td>%s</td><td class=\"n\">%s</td><td"
              + " class=\"n\">%s</td><td class=\"n\">%s</td><td>%s</td></tr>",
          Html.name(result.plan().source().name()),
          result.plan().source().shape(),
          result.plan().source().dtype(),
          Html.escape(result.plan().scheme()),
          ByteSize.exact(result.plan().source().byteSize()),
          ByteSize.exact(result.bytesOut()),
          result.error().map(error -> Html.format("%.2f", error.snrDb())).orElse(""),
          Html.name(result.plan().reason()));
    }
    add("</tbody></table></details></section>");
  }

  private void options(List<String> arguments, String version) {
    add(
        "<section><h2>How it was made</h2><pre>nibble %s</pre><ul>",
        Html.escape(String.join(" ", arguments)));
    for (String note : report.plan().notes()) {
      add("<li>%s</li>", Html.escape(note));
    }
    report
        .plan()
        .matches()
        .forEach((pattern, count) ->
            add("<li><code>%s</code> matched %d modules</li>", Html.name(pattern), count));
    add("</ul><p class=\"hint\">nibble %s</p></section>", Html.escape(version));
  }

  private void add(String pattern, Object... values) {
    page.append(Html.format(pattern, values)).append('\n');
  }
}
