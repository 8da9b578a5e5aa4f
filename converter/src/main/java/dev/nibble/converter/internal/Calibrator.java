package dev.nibble.converter.internal;

import dev.nibble.converter.Calibrated;
import dev.nibble.converter.TensorPlan;
import dev.nibble.converter.algorithm.Gptq;
import dev.nibble.converter.algorithm.GptqFactor;
import dev.nibble.converter.algorithm.GptqOptions;
import dev.nibble.converter.algorithm.RoundToNearest;
import dev.nibble.converter.algorithm.RowQuantizer;
import dev.nibble.formats.calibration.CalibrationFile;
import dev.nibble.formats.calibration.InputStatistics;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// What statistics say of each weight of a conversion. Owns the file of statistics.
final class Calibrator implements AutoCloseable {
  private final CalibrationFile stats;
  private final int threads;
  private @Nullable Key latest;
  private @Nullable GptqFactor factor;

  /// Whose factor it is: layers that share an input come one after the other in most files.
  private record Key(String input, GptqOptions options, Optional<Integer> scale) {}

  private Calibrator(CalibrationFile stats, int threads) {
    this.stats = stats;
    this.threads = threads;
  }
}
