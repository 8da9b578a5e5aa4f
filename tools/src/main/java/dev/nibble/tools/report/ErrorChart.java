package dev.nibble.tools.report;

import dev.nibble.converter.ConversionReport.TensorResult;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// The error of each quantized layer in model order, as SVG: a column for each block, a line for
/// each type of layer across the blocks, a colour for each role.
final class ErrorChart {
  private static final int WIDTH = 1000;
  private static final int HEIGHT = 380;
  private static final int LEFT = 52;
  private static final int RIGHT = 16;
  private static final int TOP = 18;
  private static final int BOTTOM = 62;
  private static final int MOST_LABELS = 12;

  private final StringBuilder svg = new StringBuilder();
  private final List<String> columns = new ArrayList<>();
  private final Map<String, List<Point>> series = new LinkedHashMap<>();
  private double low = Double.POSITIVE_INFINITY;
  private double high = Double.NEGATIVE_INFINITY;

  private record Point(int column, double snrDb, LayerName layer, TensorResult result) {}

  private ErrorChart() {}

  /// The SVG element; empty where no error was measured.
  static String draw(List<TensorResult> results) {
    ErrorChart chart = new ErrorChart();
    chart.collect(results);
    return chart.series.isEmpty() ? "" : chart.draw();
  }

  private void collect(List<TensorResult> results) {
    List<TensorResult> drawn = new ArrayList<>();
    for (TensorResult result : results) {
      if (Totals.isLossy(result) && Double.isFinite(Totals.snrDb(result))) {
        drawn.add(result);
      }
    }
    collectColumns(drawn);
    for (TensorResult result : drawn) {
      LayerName layer = LayerName.of(result.plan().source().name());
      double snr = Totals.snrDb(result);
      // Lines join the blocks of one stack; names alike in another stack are another line.
      series
          .computeIfAbsent(layer.stack() + '\n' + layer.type(), key -> new ArrayList<>())
          .add(new Point(columns.indexOf(layer.column()), snr, layer, result));
      low = Math.min(low, snr);
      high = Math.max(high, snr);
    }
    series.values().forEach(points -> points.sort(Comparator.comparingInt(Point::column)));
    double margin = Math.max((high - low) * 0.08, 0.25);
    low -= margin;
    high += margin;
  }

  /// Files are often in alphabetical order, with block 10 before block 2: blocks are counted here.
  private void collectColumns(List<TensorResult> drawn) {
    Map<String, TreeMap<Long, String>> stacks = new LinkedHashMap<>();
    for (TensorResult result : drawn) {
      LayerName layer = LayerName.of(result.plan().source().name());
      stacks
          .computeIfAbsent(layer.stack(), name -> new TreeMap<>())
          .put(layer.block(), layer.column());
    }
    TreeMap<Long, String> outside = stacks.remove(LayerName.OUTSIDE);
    stacks.values().forEach(blocks -> columns.addAll(blocks.values()));
    if (outside != null) {
      columns.addAll(outside.values());
    }
  }

  private String draw() {
    add(
        "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Signal to noise ratio"
            + " of each quantized layer\">",
        WIDTH, HEIGHT);
    drawGrid();
    drawColumns();
    series.values().forEach(this::drawSeries);
    add("</svg>");
    return svg.toString();
  }

  private void drawGrid() {
    double step = niceStep((high - low) / 6);
    for (double value = Math.ceil(low / step) * step; value <= high; value += step) {
      add(
          "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
          LEFT, WIDTH - RIGHT, y(value), y(value));
      add(
          "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
          LEFT - 8, y(value) + 4, Html.format(step < 1 ? "%.1f" : "%.0f", value));
    }
    add("<text class=\"axis\" x=\"%d\" y=\"12\">dB</text>", LEFT - 30);
  }

  static double niceStep(double rough) {
    double power = Math.pow(10, Math.floor(Math.log10(rough)));
    double scaled = rough / power;
    return power * (scaled <= 1 ? 1 : scaled <= 2 ? 2 : scaled <= 5 ? 5 : 10);
  }

  private void drawColumns() {
    int every = Math.ceilDiv(columns.size(), MOST_LABELS);
    String stack = "";
    for (int i = 0; i < columns.size(); i++) {
      String column = columns.get(i);
      int dot = column.lastIndexOf('.');
      boolean outside = column.equals(LayerName.OUTSIDE);
      String current = outside ? column : column.substring(0, dot);
      boolean begins = !current.equals(stack);
      if (begins && i > 0) {
        double edge = (x(i) + x(i - 1)) / 2;
        add(
            "<line class=\"stack\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>",
            edge, edge, TOP, HEIGHT - BOTTOM);
      }
      if (!outside && (columns.size() <= MOST_LABELS || i % every == 0)) {
        add(
            "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>",
            x(i), HEIGHT - BOTTOM + 20, Html.name(column.substring(dot + 1)));
      }
      if (begins) {
        drawStackLabel(current, i);
      }
      stack = current;
    }
  }

  /// The name of a stack of blocks, centred below its columns, if it fits there.
  private void drawStackLabel(String stack, int first) {
    int last = first;
    while (last + 1 < columns.size() && columns.get(last + 1).startsWith(stack + ".")) {
      last++;
    }
    double room = (last - first + 1) * columnWidth();
    int letters = Math.max(3, (int) (room / 6.6));
    String label =
        stack.length() <= letters ? stack : stack.substring(0, letters - 1).stripTrailing() + "…";
    add(
        "<text class=\"axis\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s<title>%s</title></text>",
        (x(first) + x(last)) / 2, HEIGHT - BOTTOM + 44, Html.name(label), Html.name(stack));
  }

  private void drawSeries(List<Point> points) {
    LayerName layer = points.getFirst().layer();
    add("<g class=\"series r-%s\">", layer.role().css());
    if (points.size() > 1 && !layer.column().equals(LayerName.OUTSIDE)) {
      StringBuilder path = new StringBuilder();
      for (Point point : points) {
        path.append(Html.format("%.1f,%.1f ", x(point.column()), y(point.snrDb())));
      }
      add("<polyline points=\"%s\"/>", path.toString().strip());
    }
    for (Point point : points) {
      add(
          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.4\"><title>%s%n%s, %.2f dB, relative error"
              + " %.2f%%</title></circle>",
          x(point),
          y(point.snrDb()),
          Html.name(point.result().plan().source().name()),
          Html.escape(point.result().plan().scheme()),
          point.snrDb(),
          100 * Math.pow(10, -point.snrDb() / 20));
    }
    add("</g>");
  }

  private double columnWidth() {
    return (double) (WIDTH - LEFT - RIGHT) / columns.size();
  }

  private double x(int column) {
    return LEFT + (column + 0.5) * columnWidth();
  }

  /// Layers outside blocks share one column: they are spread over it, lest they hide each other.
  private double x(Point point) {
    if (!point.layer().column().equals(LayerName.OUTSIDE)) {
      return x(point.column());
    }
    int place = Math.floorMod(point.layer().type().hashCode(), 7) - 3;
    return x(point.column()) + place * Math.min(columnWidth() / 8, 9);
  }

  private double y(double snrDb) {
    return TOP + (high - snrDb) / (high - low) * (HEIGHT - TOP - BOTTOM);
  }

  private void add(String pattern, Object... values) {
    svg.append(Html.format(pattern, values)).append('\n');
  }
}
