package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.converter.SparseCheckpoint.Weight;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A checkpoint far larger than the bound, with one tensor that is larger by itself, converts
/// within 1 GiB of anonymous memory.
@EnabledOnOs(OS.LINUX) // which tells anonymous memory apart from mapped files
class MemoryBoundTest {
  private static final long GIB = 1L << 30;

  @TempDir Path folder;

  /// 20.6 GiB of bfloat16: one weight of 12 GiB, whose absmax alone take 384 MiB, and 8.6 GiB of
  /// weights in the size of Qwen-Image's.
  private static List<Weight> weights() {
    List<Weight> weights = new ArrayList<>();
    weights.add(new Weight("txt_in.weight", 98304, 65536));
    for (int i = 0; i < 123; i++) {
      weights.add(new Weight("transformer_blocks." + i + ".img_mlp.net.2.weight", 12288, 3072));
    }
    return weights;
  }

  @Test
  void twentyGibibytesConvertWithinOneOfAnonymousMemory() throws Exception {
    requireRoom(8 * GIB);
    Path source = folder.resolve("huge.safetensors");
    long size = SparseCheckpoint.write(source, weights());
    assertTrue(size >= 20 * GIB, "source has " + size);
    Path target = folder.resolve("huge-nf4.safetensors");
    List<String> args = List.of(source.toString(), target.toString(), "nf4", "none");
    try (ChildProcess child = ChildProcess.start("", args)) {
      String line = child.line();
      assertTrue(line.startsWith("PEAK "), line);
      assertEquals(0, child.await());
      long peak = Long.parseLong(line.substring("PEAK ".length()));
      System.out.printf("20 GiB checkpoint: peak anonymous memory %d MiB%n", peak >> 20);
      assertTrue(peak < GIB, "peak anonymous memory " + peak);
    }
    // 4 bits a weight, and 8 more for every 64 with double quantization.
    assertTrue(Files.size(target) > size * 4.125 / 16, "output has " + Files.size(target));
    Files.delete(target);
  }

  /// Three weights of 1 GiB each that become one.
  @Test
  void joinedWeightsAreNeverWholeInMemory() throws Exception {
    requireRoom(2 * GIB);
    List<Weight> weights = new ArrayList<>();
    weights.add(new Weight("layers.0.adaLN_modulation.0.weight", 64, 64));
    for (String part : List.of("to_k", "to_q", "to_v")) {
      weights.add(new Weight("layers.0.attention." + part + ".weight", 32768, 16384));
    }
    Path source = folder.resolve("parts.safetensors");
    SparseCheckpoint.write(source, weights);
    Path target = folder.resolve("joined.safetensors");
    List<String> args = List.of(source.toString(), target.toString(), "nf4", "none", "original");
    try (ChildProcess child = ChildProcess.start("", args)) {
      String line = child.line();
      assertTrue(line.startsWith("PEAK "), line);
      assertEquals(0, child.await());
      long peak = Long.parseLong(line.substring("PEAK ".length()));
      System.out.printf("3 GiB joined: peak anonymous memory %d MiB%n", peak >> 20);
      assertTrue(peak < GIB, "peak anonymous memory " + peak);
    }
    try (Checkpoint joined = Checkpoints.open(target)) {
      assertTrue(joined.tensors().containsKey("layers.0.attention.qkv.weight"));
    }
    Files.delete(target);
  }

  /// One weight of 3 GiB in ggml's blocks, and back.
  @Test
  void ggufIsWrittenSliceBySlice() throws Exception {
    requireRoom(3 * GIB);
    Path source = folder.resolve("large.safetensors");
    SparseCheckpoint.write(
        source, List.of(new Weight("transformer_blocks.0.img_mod.1.weight", 65536, 24576)));
    Path target = folder.resolve("large.gguf");
    List<String> args = List.of(source.toString(), target.toString(), "gguf:q8_0", "none");
    try (ChildProcess child = ChildProcess.start("", args)) {
      String line = child.line();
      assertTrue(line.startsWith("PEAK "), line);
      assertEquals(0, child.await());
      long peak = Long.parseLong(line.substring("PEAK ".length()));
      System.out.printf("3 GiB to GGUF: peak anonymous memory %d MiB%n", peak >> 20);
      assertTrue(peak < GIB, "peak anonymous memory " + peak);
    }
    assertTrue(Files.size(target) > 3 * GIB * 8.5 / 16, "output has " + Files.size(target));
    Files.delete(target);
  }

  /// Codes that are put in order for GPTQ, and a scale that is known after a first pass: 512 MiB
  /// and 1 GiB of codes of one weight, which must not all be held.
  @ParameterizedTest
  @CsvSource({"int4:g128, gptq", "fp8, ''"})
  void codesOutOfOrderAndTwoPassesKeepTheBound(String scheme, String format) throws Exception {
    requireRoom(3 * GIB);
    Path source = folder.resolve("large.safetensors");
    SparseCheckpoint.write(source, List.of(new Weight("txt_in.weight", 16384, 65536)));
    List<String> args =
        List.of(
            source.toString(),
            folder.resolve("out.safetensors").toString(),
            scheme,
            "none",
            format);
    try (ChildProcess child = ChildProcess.start("", args)) {
      String line = child.line();
      assertTrue(line.startsWith("PEAK "), line);
      assertEquals(0, child.await());
      long peak = Long.parseLong(line.substring("PEAK ".length()));
      System.out.printf("one weight as %s: peak anonymous memory %d MiB%n", scheme, peak >> 20);
      assertTrue(peak < GIB / 2, "peak anonymous memory " + peak);
    }
  }

  private void requireRoom(long bytes) throws IOException {
    long free = Files.getFileStore(folder).getUsableSpace();
    assumeTrue(free > bytes, "skipped: needs " + bytes + " free bytes, the disk has " + free);
  }
}
