package dev.nibble.runtime.calibration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.calibration.CalibratedLayer;
import dev.nibble.formats.calibration.CalibrationFile;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.runtime.Cancellation;
import dev.nibble.runtime.GenerationCancelledException;
import dev.nibble.runtime.LoadListener;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.tensor.Buffer;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Statistics of the miniature: against a recomputation from the inputs themselves, and that
/// nothing but the request decides a bit of them.
class StatisticsRunTest {
  private static final StatisticsRequest REQUEST =
      new StatisticsRequest(
          List.of("red apple", "rocket", "pizza"), 7, 2, 0, 64, 64, StepWeights.UNIFORM, "test");

  /// Fits the widest Hessian's least slice, and makes six passes of the whole.
  private static final long LITTLE_MEMORY = 4 << 20;

  @TempDir private static Path shared;

  /// Of one uninterrupted run of {@link #REQUEST} in one pass, on two threads.
  @SuppressWarnings("NullAway.Init") // set before all tests
  private static Path whole;

  @TempDir private Path folder;

  @BeforeAll
  static void recordWhole() throws IOException {
    whole = shared.resolve("whole.safetensors");
    assertEquals(1, TestRun.PLAIN.record(whole, REQUEST).passes());
  }

  @ParameterizedTest
  @CsvSource({"0", "1.5"})
  void equalsWhatTheInputsThemselvesAddUpTo(double guidance) throws IOException {
    StatisticsRequest request =
        new StatisticsRequest(
            List.of("cat face"), 3, 2, guidance, 64, 64, StepWeights.UNIFORM, "test");
    Path file = folder.resolve("s.safetensors");
    StatisticsSummary summary = TestRun.PLAIN.record(file, request);
    InputProbe probe = new InputProbe();
    try (Pipeline pipeline =
        Pipeline.open(
            TestRun.MODEL,
            PipelineOptions.defaults(),
            LoadListener.NONE,
            new Cancellation(),
            probe)) {
      pipeline.generate(request.picture(0));
    }
    try (CalibrationFile read = CalibrationFile.open(file)) {
      assertEquals(List.copyOf(probe.rows.keySet()), List.copyOf(read.header().layers().keySet()));
      assertEquals(100, summary.layers());
      for (Map.Entry<String, CalibratedLayer> layer : read.header().layers().entrySet()) {
        assertEquals(firstWithTheBuffers(probe, layer.getKey()), layer.getValue().input());
        check(probe.rows.getOrDefault(layer.getKey(), List.of()), read, layer.getKey());
      }
    }
  }

  /// Layers that share their inputs are those whose inputs always lie in the same buffers.
  private static String firstWithTheBuffers(InputProbe probe, String module) {
    List<Buffer> mine = probe.buffers.getOrDefault(module, List.of());
    return probe.buffers.entrySet().stream()
        .filter(entry -> entry.getValue().equals(mine))
        .findFirst()
        .orElseThrow()
        .getKey();
  }

  private static void check(List<float[]> rows, CalibrationFile read, String module) {
    InputStatistics found = read.of(module).orElseThrow();
    int d = found.features();
    double[] abs = new double[d];
    double[] squares = new double[d];
    float[] most = new float[d];
    double[] gram = new double[d * d];
    for (float[] row : rows) {
      for (int i = 0; i < d; i++) {
        abs[i] += Math.abs(row[i]) / (double) rows.size();
        squares[i] += (double) row[i] * row[i] / rows.size();
        most[i] = Math.max(most[i], Math.abs(row[i]));
        for (int j = 0; j < d; j++) {
          gram[i * d + j] += (double) row[i] * row[j];
        }
      }
    }
    assertEquals(rows.size(), found.count());
    assertArrayEquals(most, found.maxAbs());
    requireNear(abs, found.meanAbs(), 1e-6);
    requireNear(squares, found.meanSquare(), 1e-6);
    MemorySegment hessian = found.hessian().orElseThrow();
    for (int i = 0; i < d; i++) {
      for (int j = 0; j < d; j++) {
        float value = hessian.getAtIndex(LittleEndian.FLOAT, (long) i * d + j);
        assertEquals(value, hessian.getAtIndex(LittleEndian.FLOAT, (long) j * d + i));
        // A float32 sum errs by its terms, whose sizes the diagonal tells.
        double size = Math.sqrt(gram[i * d + i] * gram[j * d + j]);
        assertEquals(gram[i * d + j], value, 1e-5 * size + 1e-30);
      }
    }
    checkSample(rows, found);
  }

  private static void requireNear(double[] expected, double[] found, double relative) {
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], found[i], relative * expected[i]);
    }
  }

  /// Every row of the sample is one of the input's, and none is there twice but where the input has
  /// equal rows.
  private static void checkSample(List<float[]> rows, InputStatistics found) {
    assertEquals(Math.min(50, rows.size()), found.sampleRows());
    List<float[]> left = new ArrayList<>(rows);
    int d = found.features();
    for (int i = 0; i < found.sampleRows(); i++) {
      float[] row = found.sample().asSlice(4L * i * d, 4L * d).toArray(LittleEndian.FLOAT);
      int index = 0;
      while (index < left.size() && !Arrays.equals(left.get(index), row)) {
        index++;
      }
      assertTrue(index < left.size(), "a sample of " + found.name() + " is no row of it");
      left.remove(index);
    }
  }

  private void assertSameAsWhole(Path file) throws IOException {
    assertEquals(-1, Files.mismatch(whole, file));
    assertFalse(Files.exists(StatisticsRun.folder(file)));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void threadsChangeNothing(int threads) throws IOException {
    Path file = folder.resolve("s.safetensors");
    TestRun.PLAIN.withThreads(threads).record(file, REQUEST);
    assertSameAsWhole(file);
  }

  @Test
  void passesChangeNothing() throws IOException {
    Path file = folder.resolve("s.safetensors");
    StatisticsSummary summary = TestRun.PLAIN.withMemory(LITTLE_MEMORY).record(file, REQUEST);
    assertTrue(summary.passes() >= 5, summary.toString());
    assertSameAsWhole(file);
  }

  @ParameterizedTest
  @CsvSource({"1", "2"})
  void anInterruptionChangesNothing(int prompts) throws IOException {
    Path file = folder.resolve("s.safetensors");
    interrupt(file, TestRun.PLAIN.stoppedAfter(prompts));
    TestRun.PLAIN.withThreads(1).record(file, REQUEST);
    assertSameAsWhole(file);
  }

  @Test
  void interruptionsOfLaterPassesAndOtherMemoryChangeNothing() throws IOException {
    Path file = folder.resolve("s.safetensors");
    TestRun little = TestRun.PLAIN.withMemory(LITTLE_MEMORY);
    interrupt(file, little.stoppedAfter(1));
    interrupt(file, little.stoppedAfter(4));
    interrupt(file, little.stoppedAfter(2));
    interrupt(file, little.stoppedAfter(3));
    // Of a process that was killed while it saved.
    Files.writeString(
        StatisticsRun.folder(file).resolve(".pass-2.safetensors.nibble-00000000-00000000.tmp"), "");
    TestRun.PLAIN.withMemory(16 << 20).record(file, REQUEST);
    assertSameAsWhole(file);
  }

  private static void interrupt(Path file, TestRun way) {
    assertThrows(GenerationCancelledException.class, () -> way.record(file, REQUEST));
    assertTrue(Files.exists(StatisticsRun.folder(file)));
    assertFalse(Files.exists(file));
  }

  @Test
  void anotherRunsStateIsRefused() throws IOException {
    Path file = folder.resolve("s.safetensors");
    interrupt(file, TestRun.PLAIN.stoppedAfter(1));
    StatisticsRequest other =
        new StatisticsRequest(REQUEST.prompts(), 7, 3, 0, 64, 64, StepWeights.UNIFORM, "test");
    refused(file, other, "(steps 2, now 3)");
    StatisticsRequest fewer =
        new StatisticsRequest(List.of("red apple"), 7, 2, 0, 64, 64, StepWeights.UNIFORM, "test");
    refused(file, fewer, "(prompts ");
    StatisticsRun.drop(StatisticsRun.folder(file));
    TestRun.PLAIN.record(file, fewer);
    assertTrue(Files.exists(file));
  }

  private static void refused(Path file, StatisticsRequest request, String message) {
    NibbleException refusal =
        assertThrows(NibbleException.class, () -> TestRun.PLAIN.record(file, request));
    String line = String.valueOf(refusal.getMessage());
    assertTrue(line.contains(message) && line.contains("--restart"), line);
    assertEquals(1, line.lines().count());
  }

  @Test
  void aDamagedStateIsRefused() throws IOException {
    Path file = folder.resolve("s.safetensors");
    interrupt(file, TestRun.PLAIN.stoppedAfter(1));
    Path pass = StatisticsRun.folder(file).resolve("pass-1.safetensors");
    byte[] bytes = Files.readAllBytes(pass);
    Files.write(pass, Arrays.copyOf(bytes, bytes.length - 1));
    refused(file, REQUEST, "expected state of a calibration");
    Files.copy(whole, pass, StandardCopyOption.REPLACE_EXISTING);
    refused(file, REQUEST, "expected state of a calibration");
  }

  @Test
  void tooLittleMemoryIsToldAtOnce() {
    Path file = folder.resolve("s.safetensors");
    NibbleException refusal =
        assertThrows(
            NibbleException.class, () -> TestRun.PLAIN.withMemory(1 << 19).record(file, REQUEST));
    String line = String.valueOf(refusal.getMessage());
    assertTrue(line.contains("give 1,048,576 or more"), line);
    interrupt(file, TestRun.PLAIN.stoppedAfter(1));
    assertThrows(
        NibbleException.class, () -> TestRun.PLAIN.withMemory(1 << 19).record(file, REQUEST));
  }
}
