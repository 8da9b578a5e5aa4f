package dev.nibble.tools.report;

import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.converter.TensorPlan;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalDouble;

/// The headline numbers of a conversion.
///
/// @param quantized number of tensors quantized
/// @param kept number of the others, cast or copied
/// @param cast number of those that were cast
/// @param quantizedIn source bytes of those quantized
/// @param quantizedOut their bytes in the output, statistics included
/// @param keptIn source bytes of the others
/// @param keptOut their bytes in the output
/// @param castIn source bytes of those cast
/// @param castOut their bytes in the output
/// @param weights number of elements quantized
/// @param meanSnr mean over the quantized tensors of their signal to noise ratio in dB, where
///   finite
/// @param seconds wall time
record Totals(
    int quantized,
    int kept,
    int cast,
    long quantizedIn,
    long quantizedOut,
    long keptIn,
    long keptOut,
    long castIn,
    long castOut,
    long weights,
    OptionalDouble meanSnr,
    double seconds) {

  static Totals of(ConversionReport report) {
    return of(report.tensors(), report.nanos() / 1e9);
  }

  static Totals of(List<TensorResult> results, double seconds) {
    int quantized = 0;
    int cast = 0;
    long[] in = new long[3];
    long[] out = new long[3];
    long weights = 0;
    for (TensorResult result : results) {
      boolean isQuantized = result.plan() instanceof TensorPlan.Quantize;
      int side = isQuantized ? 0 : 1;
      in[side] += result.plan().source().byteSize();
      out[side] += result.bytesOut();
      if (isQuantized) {
        quantized++;
        weights += result.plan().source().shape().elements();
      } else if (result.plan() instanceof TensorPlan.Cast) {
        cast++;
        in[2] += result.plan().source().byteSize();
        out[2] += result.bytesOut();
      }
    }
    OptionalDouble mean =
        lossy(results).stream().mapToDouble(Totals::snrDb).filter(Double::isFinite).average();
    int kept = results.size() - quantized;
    return new Totals(
        quantized, kept, cast, in[0], out[0], in[1], out[1], in[2], out[2], weights, mean, seconds);
  }

  /// The quantized tensors whose error was measured, worst first.
  static List<TensorResult> lossy(List<TensorResult> results) {
    return results.stream()
        .filter(Totals::isLossy)
        .sorted(Comparator.comparingDouble(Totals::snrDb))
        .toList();
  }

  /// Whether it was quantized, and its error measured.
  static boolean isLossy(TensorResult result) {
    return result.plan() instanceof TensorPlan.Quantize && result.error().isPresent();
  }

  static double snrDb(TensorResult result) {
    return result.error().map(error -> error.snrDb()).orElse(Double.POSITIVE_INFINITY);
  }

  long bytesIn() {
    return quantizedIn + keptIn;
  }

  long bytesOut() {
    return quantizedOut + keptOut;
  }

  /// How many times smaller the tensors became.
  double ratio() {
    return bytesOut() == 0 ? 1 : (double) bytesIn() / bytesOut();
  }

  /// Stored bits, statistics included, for each quantized weight element.
  double bitsPerWeight() {
    return weights == 0 ? 0 : quantizedOut * 8.0 / weights;
  }

  /// Source bytes a second, in GB.
  double gigabytesPerSecond() {
    return seconds == 0 ? 0 : bytesIn() / seconds / 1e9;
  }
}
