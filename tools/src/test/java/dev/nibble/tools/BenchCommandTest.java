package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.NibbleException;
import dev.nibble.runtime.bench.Ceilings;
import dev.nibble.runtime.bench.Measurement;
import dev.nibble.runtime.bench.Measurement.Rate;
import dev.nibble.runtime.bench.Measurement.Unit;
import dev.nibble.runtime.cuda.driver.CudaDriver;
import dev.nibble.tools.report.BenchPrinter;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class BenchCommandTest {
  private static final Measurement LINEAR =
      new Measurement(
          "linear nf4 1 x 3840x3840", 7.4, new Rate(1031, Unit.GBPS), Optional.of(0.343));
  private static final Measurement STEP =
      new Measurement("step", 104_400, new Rate(559, Unit.TFLOPS), Optional.empty());

  @TempDir Path folder;

  @Test
  void machineWithoutGpuIsToldInOneLine() {
    assumeFalse(CudaDriver.hasDevice(), "this machine has a GPU");
    CommandRun run = CommandRun.of("bench", "--device", "cuda");
    assertEquals(1, run.code());
    assertTrue(run.lastErrorLine().contains("NVIDIA driver"), run.err());
    assertEquals("", run.out());
  }

  @Test
  void onlyGpusAreTimed() {
    CommandRun run = CommandRun.of("bench", "--device", "cpu");
    assertEquals(2, run.code());
    assertEquals("error: --device cpu: only cuda devices are timed", run.lastErrorLine());
  }

  private static String printed(BenchPrinter printer, boolean json) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (PrintStream stream = new PrintStream(out, true, StandardCharsets.UTF_8)) {
      if (json) {
        printer.json(stream);
      } else {
        printer.print(stream);
      }
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  @Test
  void tableShowsSharesAndRivals() throws IOException {
    BenchPrinter printer =
        new BenchPrinter(
            "cuda:0, a GPU",
            new Ceilings(3.008e12, 54.3e9, Optional.of(741e12)),
            List.of(LINEAR, STEP),
            Map.of("bitsandbytes", Map.of(LINEAR.op(), 10.6)));
    assertEquals(
        """
        cuda:0, a GPU
        copy on the device  3,008 GB/s
        pinned memory       54.3 GB/s
        bf16 product        741 TFLOP/s (cuBLASLt)

        operation                     time   rate           share     bitsandbytes
        linear nf4 1 x 3840x3840    7.4 us  1,031  GB/s       34%  10.6 us (x1.43)
        step                      104.4 ms    559  TFLOP/s      -                -
        """,
        printed(printer, false).replace(System.lineSeparator(), "\n"));
    JsonNode json = new ObjectMapper().readTree(printed(printer, true));
    assertEquals(7.4, json.at("/operations/0/micros").doubleValue());
    assertEquals(10.6, json.at("/operations/0/rivals/bitsandbytes").doubleValue());
    assertTrue(json.at("/operations/1/share").isNull());
    assertEquals(741e12, json.at("/ceilings/product_flops").doubleValue());
  }

  private Path interpreter(String script) throws IOException {
    Path python = folder.resolve("python");
    Files.writeString(python, "#!/bin/sh\n" + script);
    assertTrue(python.toFile().setExecutable(true));
    return python;
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // the interpreter is a shell script
  void rivalsTimesAreReadFromTheScript() throws IOException {
    Path python =
        interpreter(
            """
            echo "a library says hello"
            test -s "$1" || exit 3
            while read -r op; do echo "{\\"op\\": \\"$op\\", \\"rival\\": \\"torch\\", \\"micros\\": 1$2.5}"; done <"$3"
            """);
    assertEquals(
        List.of(
            new Rivals.Time(LINEAR.op(), "torch", 13.5), new Rivals.Time("step", "torch", 13.5)),
        Rivals.measure(python, 3, List.of(LINEAR, STEP)));
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void failingRivalsAreAnErrorThatNamesTheInterpreter() throws IOException {
    Path python = interpreter("exit 7");
    NibbleException failure =
        Assertions.assertThrows(
            NibbleException.class, () -> Rivals.measure(python, 0, List.of(LINEAR)));
    assertEquals(
        "--python %s: the rivals' script ended with 7; see above".formatted(python),
        failure.getMessage());
    Path missing = folder.resolve("nowhere");
    assertTrue(
        String.valueOf(
                Assertions.assertThrows(
                        NibbleException.class, () -> Rivals.measure(missing, 0, List.of(LINEAR)))
                    .getMessage())
            .contains("can't be started"));
  }
}
