package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// The choice of kernels, in JVMs of its own: one without the incubating module must run, and must
/// not even load a class that mentions it.
class SimdTest {
  private static final String MODULE = "--add-modules=jdk.incubator.vector";

  /// What those JVMs run: converts one number and says how.
  static final class Probe {
    private Probe() {}

    public static void main(String[] args) {
      MemorySegment number = MemorySegment.ofArray(new byte[2]);
      FloatWriter.of(DType.BF16).write(new float[] {1.5f}, 1, number, 0);
      float[] back = new float[1];
      FloatReader.of(DType.BF16).read(number, 0, back, 1);
      int absmax = Int8Kernels.best().absmaxBits(back, 0, 1);
      // Standard output is the probe's only way to answer.
      System.out.print(
          Simd.isVector()
              + " "
              + Float.intBitsToFloat(absmax)
              + " "
              + number.get(LittleEndian.SHORT, 0));
    }
  }

  private static String run(String... options) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Probe.class.getName()));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return process.waitFor() + ": " + output;
  }

  @Test
  void withoutTheModuleScalarCodeRuns() throws IOException, InterruptedException {
    assertEquals("0: false 1.5 16320", run());
    assertEquals("1: ", run("-Dnibble.simd=vector"));
  }

  @Test
  void thePropertyForcesTheChoice() throws IOException, InterruptedException {
    assertEquals("0: " + Simd.isVector() + " 1.5 16320", run(MODULE));
    assertEquals("0: false 1.5 16320", run(MODULE, "-Dnibble.simd=scalar"));
    assertEquals("1: ", run(MODULE, "-Dnibble.simd=fast"));
  }
}
