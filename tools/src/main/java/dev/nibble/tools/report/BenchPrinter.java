package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.runtime.bench.Ceilings;
import dev.nibble.runtime.bench.Measurement;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// What a device did beside what it can do.
///
/// @param device one line
/// @param ceilings of the same run
/// @param measured in order
/// @param rivals microseconds by rival, then by operation
public record BenchPrinter(
    String device,
    Ceilings ceilings,
    List<Measurement> measured,
    Map<String, Map<String, Double>> rivals) {

  /// A table for people.
  public void print(PrintStream out) {
    out.println(device);
    out.printf(Locale.ROOT, "copy on the device  %,.0f GB/s%n", ceilings.copyBytes() / 1e9);
    out.printf(Locale.ROOT, "pinned memory       %.1f GB/s%n", ceilings.busBytes() / 1e9);
    out.println(
        "bf16 product        "
            + ceilings
                .productFlops()
                .map(rate -> String.format(Locale.ROOT, "%.0f TFLOP/s (cuBLASLt)", rate / 1e12))
                .orElse("cuBLASLt is not installed: no share is given"));
    out.println();
    TextTable table = new TextTable("lrrlr" + "r".repeat(rivals.size()));
    List<String> header = new ArrayList<>(List.of("operation", "time", "rate", "", "share"));
    header.addAll(rivals.keySet());
    table.row(header.toArray(String[]::new));
    for (Measurement one : measured) {
      table.row(row(one));
    }
    table.print(out, 0);
  }

  private String[] row(Measurement one) {
    List<String> cells = new ArrayList<>();
    cells.add(one.op());
    cells.add(time(one.micros()));
    cells.add(String.format(Locale.ROOT, "%,.0f", one.rate().value()));
    cells.add(one.rate().unit().toString());
    cells.add(one.share().map(BenchPrinter::percent).orElse("-"));
    for (Map<String, Double> rival : rivals.values()) {
      Double micros = rival.get(one.op());
      cells.add(
          micros == null
              ? "-"
              : String.format(Locale.ROOT, "%s (x%.2f)", time(micros), micros / one.micros()));
    }
    return cells.toArray(String[]::new);
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.0f%%", 100 * share);
  }

  private static String time(double micros) {
    return micros < 10_000
        ? String.format(Locale.ROOT, "%.1f us", micros)
        : String.format(Locale.ROOT, "%.1f ms", micros / 1000);
  }

  /// The same for machines.
  public void json(PrintStream out) throws IOException {
    ObjectNode root = JsonText.root("bench", List.of(), List.of());
    root.put("device", device);
    ObjectNode best = root.putObject("ceilings");
    best.put("copy_bytes_per_second", ceilings.copyBytes());
    best.put("bus_bytes_per_second", ceilings.busBytes());
    if (ceilings.productFlops().isPresent()) {
      best.put("product_flops", ceilings.productFlops().get());
    } else {
      best.putNull("product_flops");
    }
    ArrayNode operations = root.putArray("operations");
    for (Measurement one : measured) {
      ObjectNode node = operations.addObject();
      node.put("op", one.op())
          .put("micros", one.micros())
          .put("rate", one.rate().value())
          .put("unit", one.rate().unit().toString());
      if (one.share().isPresent()) {
        node.put("share", one.share().get());
      } else {
        node.putNull("share");
      }
      ObjectNode others = node.putObject("rivals");
      rivals.forEach((name, times) -> {
        Double micros = times.get(one.op());
        if (micros != null) {
          others.put(name, micros);
        }
      });
    }
    JsonText.print(root, out);
  }
}
