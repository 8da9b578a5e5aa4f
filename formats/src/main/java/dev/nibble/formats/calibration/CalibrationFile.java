package dev.nibble.formats.calibration;

import dev.nibble.formats.FormatException;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/// A file of statistics, mapped: sums are read when it opens, Hessians and samples when they are
/// touched. See `docs/calibration-format.md`. Thread-safe; what it hands out lives as long as it is
/// open.
///
/// Opening checks shapes and types of everything, that sums and the diagonals of the Hessians are
/// finite and not negative, and no other element of the large tensors.
public final class CalibrationFile implements CalibrationStats, AutoCloseable {
  private final Path path;
  private final SafetensorsCheckpoint checkpoint;
  private final CalibrationHeader header;
  private final SequencedMap<String, InputStatistics> inputs;

  private CalibrationFile(Path path, SafetensorsCheckpoint checkpoint) {
    this.path = path;
    this.checkpoint = checkpoint;
    header = HeaderText.read(path, checkpoint.metadata());
    StatisticsReader reader = new StatisticsReader(path, checkpoint);
    SequencedMap<String, InputStatistics> read = new LinkedHashMap<>();
    takers(header.layers())
        .forEach(
            (input, takers) -> read.put(input, reader.read(takers.modules(), takers.features())));
    inputs = Collections.unmodifiableSequencedMap(read);
  }

  /// The layers that take an input, the one that it is named by first.
  private record Takers(int features, List<String> modules) {}

  private static SequencedMap<String, Takers> takers(SequencedMap<String, CalibratedLayer> layers) {
    SequencedMap<String, Takers> takers = new LinkedHashMap<>();
    layers.forEach((module, layer) -> {
      Takers others =
          takers.computeIfAbsent(
              layer.input(), first -> new Takers(layer.in(), new ArrayList<>(List.of(first))));
      if (!module.equals(layer.input())) {
        others.modules().add(module);
      }
    });
    return takers;
  }

  /// Opens a file of statistics. The caller closes.
  ///
  /// @throws FormatException if it is none, is damaged, or holds what no sums can be
  /// @throws IOException if it is missing or can't be read; the message names the file
  public static CalibrationFile open(Path path) throws IOException {
    SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(path);
    try {
      return new CalibrationFile(path, checkpoint);
    } catch (RuntimeException e) {
      checkpoint.close();
      throw e;
    }
  }

  /// The file.
  public Path path() {
    return path;
  }

  /// What the statistics are of, and how they came about.
  public CalibrationHeader header() {
    return header;
  }

  @Override
  public List<InputStatistics> inputs() {
    return List.copyOf(inputs.values());
  }

  @Override
  public Optional<InputStatistics> of(String module) {
    return Optional.ofNullable(header.layers().get(module)).map(layer -> inputs.get(layer.input()));
  }

  @Override
  public void close() {
    checkpoint.close();
  }
}
