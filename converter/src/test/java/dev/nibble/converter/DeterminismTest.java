package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.quant.QuantSchemes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Equal input and options give equal bytes, and a server may convert for months.
class DeterminismTest {
  private static final long SMALLEST_MEMORY = 1L << 21;

  @TempDir Path folder;

  private Path convert(String scheme, String name, int threads, long memory) throws IOException {
    Path target = folder.resolve(name);
    Converter converter = new Converter();
    ConversionRequest request =
        ConversionRequest.builder(Fixtures.path("models/emoji-zimage/transformer"))
            .output(target)
            .scheme(QuantSchemes.parse(scheme))
            .maxShardBytes(3_000_000)
            .threads(threads)
            .memoryBytes(memory)
            .build();
    converter.run(converter.plan(request), ProgressListener.none(), new Cancellation());
    return target;
  }

  @ParameterizedTest
  @CsvSource({"nf4", "fp4:128:plain", "int8"})
  void sameBytesForAnyThreadsAndMemory(String scheme) throws IOException {
    Path one = convert(scheme, "one", 1, ConversionRequest.DEFAULT_MEMORY_BYTES);
    Path many = convert(scheme, "many", 5, SMALLEST_MEMORY);
    try (Stream<Path> files = Files.list(one)) {
      for (Path file : files.toList()) {
        assertArrayEquals(
            Files.readAllBytes(file),
            Files.readAllBytes(many.resolve(file.getFileName())),
            String.valueOf(file.getFileName()));
      }
    }
    try (Stream<Path> shards = Files.list(one)) {
      long count = shards.filter(file -> file.toString().endsWith(".safetensors")).count();
      assertTrue(count > 1, "several shards, or the test tells little");
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void conversionsLeaveNoOpenFilesOrMappings() throws IOException {
    convert("nf4", "warm", 2, SMALLEST_MEMORY);
    long files = entries(Path.of("/proc/self/fd"));
    long mappings = mappingsOf("safetensors") + mappingsOf("nibble");
    for (int i = 0; i < 20; i++) {
      convert("nf4", "run" + i, 2, SMALLEST_MEMORY);
    }
    assertTrue(
        entries(Path.of("/proc/self/fd")) <= files + 2,
        "open files grew from " + files + " to " + entries(Path.of("/proc/self/fd")));
    assertEquals(mappings, mappingsOf("safetensors") + mappingsOf("nibble"));
  }

  private static long entries(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.count();
    }
  }

  private static long mappingsOf(String word) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .filter(line -> line.contains("." + word))
        .count();
  }
}
