package dev.nibble.runtime.calibration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.calibration.CalibrationFile;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.runtime.ComputeDevice;
import dev.nibble.runtime.GenerationCancelledException;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.cuda.RequiresGpu;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Statistics that a GPU records: near the CPU's, and the same to the bit however often it is
/// interrupted and in how many passes.
@RequiresGpu
class StatisticsRunGpuTest {
  private static final StatisticsRequest REQUEST =
      new StatisticsRequest(
          List.of("red apple", "rocket"), 7, 4, 1, 64, 64, StepWeights.UNIFORM, "test");
  private static final TestRun GPU =
      TestRun.PLAIN.with(PipelineOptions.defaults().withDevice(new ComputeDevice.Cuda(0)));

  @TempDir private Path folder;

  @Test
  void isNearTheCpus() throws IOException {
    Path cpu = folder.resolve("cpu.safetensors");
    Path gpu = folder.resolve("gpu.safetensors");
    TestRun.PLAIN.record(cpu, REQUEST);
    GPU.record(gpu, REQUEST);
    try (CalibrationFile expected = CalibrationFile.open(cpu);
        CalibrationFile found = CalibrationFile.open(gpu)) {
      assertEquals(expected.header(), found.header());
      for (InputStatistics one : expected.inputs()) {
        InputStatistics other = found.of(one.name()).orElseThrow();
        assertEquals(one.count(), other.count());
        requireNear(one.name(), one.meanAbs(), other.meanAbs());
        requireNear(one.name(), one.meanSquare(), other.meanSquare());
        requireNear(one.name(), doubles(one.hessian()), doubles(other.hessian()));
      }
    }
  }

  private static double[] doubles(Optional<MemorySegment> values) {
    float[] array = values.orElseThrow().toArray(LittleEndian.FLOAT);
    double[] wide = new double[array.length];
    for (int i = 0; i < array.length; i++) {
      wide[i] = array[i];
    }
    return wide;
  }

  /// Products of bfloat16 all the way: a few hundredths of the norm.
  private static void requireNear(String name, double[] expected, double[] found) {
    double difference = 0;
    double size = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += (expected[i] - found[i]) * (expected[i] - found[i]);
      size += expected[i] * expected[i];
    }
    double error = Math.sqrt(difference / size);
    assertTrue(error < 0.05, name + " is off by " + error);
  }

  @Test
  void passesAndInterruptionsChangeNothing() throws IOException {
    Path whole = folder.resolve("whole.safetensors");
    assertEquals(1, GPU.record(whole, REQUEST).passes());
    Path pieces = folder.resolve("pieces.safetensors");
    TestRun little = GPU.withMemory(4 << 20);
    for (int prompts : new int[] {1, 2}) {
      assertThrows(
          GenerationCancelledException.class,
          () -> little.stoppedAfter(prompts).record(pieces, REQUEST));
    }
    assertTrue(little.record(pieces, REQUEST).passes() >= 5);
    assertEquals(-1, Files.mismatch(whole, pieces));
  }
}
