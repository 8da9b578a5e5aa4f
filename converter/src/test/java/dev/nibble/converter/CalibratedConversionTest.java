package dev.nibble.converter;

import static dev.nibble.converter.EqualCheckpoints.assertEqualTrees;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.converter.algorithm.GptqOptions;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.GptqStorage;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Codes that GPTQ chooses and branches beside weights, from statistics to files and back.
class CalibratedConversionTest {
  private static final Path ZIMAGE = Fixtures.path("models/emoji-zimage/transformer");
  private static final String QUERY = "layers.3.attention.to_q";

  @TempDir static Path shared;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static Path stats;

  @TempDir Path folder;

  @BeforeAll
  static void record() throws IOException {
    stats = TestStatistics.ALL.write(shared.resolve("stats.safetensors"), ZIMAGE);
  }

  private static Calibration gptq(GptqOptions options) {
    return new Calibration(
        stats, Optional.of(options), Optional.empty(), OptionalInt.empty(), false);
  }

  private static Calibration svd(int rank, Optional<GptqOptions> gptq) {
    return new Calibration(stats, gptq, Optional.empty(), OptionalInt.of(rank), false);
  }

  private ConversionRequest.Builder request(String scheme, String output) {
    return ConversionRequest.builder(ZIMAGE)
        .scheme(QuantSchemes.parse(scheme))
        .output(folder.resolve(output))
        .threads(2);
  }

  private static ConversionReport run(ConversionRequest request) throws IOException {
    Converter converter = new Converter();
    return converter.run(converter.plan(request), ProgressListener.none(), new Cancellation());
  }

  private static List<CalibrationResult> results(ConversionReport report) {
    return report.tensors().stream().flatMap(one -> one.calibration().stream()).toList();
  }

  private static double meanOutputError(ConversionReport report) {
    return results(report).stream()
        .mapToDouble(one -> one.outputs().orElseThrow().calibrated())
        .average()
        .orElseThrow();
  }

  private static double meanNearest(ConversionReport report) {
    return results(report).stream()
        .mapToDouble(one -> one.outputs().orElseThrow().nearest())
        .average()
        .orElseThrow();
  }

  private static void assertSameLayout(Path expected, Path found) throws IOException {
    try (Checkpoint a = Checkpoints.open(expected);
        Checkpoint b = Checkpoints.open(found)) {
      assertEquals(a.tensors().keySet(), b.tensors().keySet());
      for (Map.Entry<String, TensorInfo> entry : a.tensors().entrySet()) {
        TensorInfo other = Optional.ofNullable(b.tensors().get(entry.getKey())).orElseThrow();
        assertEquals(entry.getValue().dtype(), other.dtype(), entry.getKey());
        assertEquals(entry.getValue().shape(), other.shape(), entry.getKey());
      }
    }
  }

  private static void assertDecodes(Path output, int quantized) throws IOException {
    try (OpenModel model = OpenModel.open(output)) {
      model.tensors().keySet().forEach(name -> Decoded.values(model, name));
      assertEquals(
          quantized,
          model.tensors().values().stream()
              .filter(dev.nibble.formats.quant.storage.LogicalTensor.Quantized.class::isInstance)
              .count());
    }
  }

  private JsonNode quantization(String output) throws IOException {
    return new ObjectMapper()
        .readTree(Files.readString(folder.resolve(output).resolve("config.json")))
        .path("quantization_config");
  }

  @Test
  void compensatedNf4IsNf4WithLessErrorOfOutputs() throws IOException {
    ConversionReport plain = run(request("nf4", "plain").build());
    ConversionReport report =
        run(request("nf4", "gptq").calibration(gptq(GptqOptions.RECOMMENDED)).build());
    assertSameLayout(folder.resolve("plain"), folder.resolve("gptq"));
    assertEquals(
        plain.tensors().stream().mapToLong(TensorResult::bytesOut).sum(),
        report.tensors().stream().mapToLong(TensorResult::bytesOut).sum());
    assertEquals(quantization("plain"), quantization("gptq"));
    assertDecodes(folder.resolve("gptq"), 100);
    assertEquals(100, results(report).size());
    assertEquals(List.of(), results(plain));
    assertTrue(
        meanOutputError(report) < 0.8 * meanNearest(report),
        meanOutputError(report) + " against " + meanNearest(report));
    results(report).forEach(one -> assertEquals(0.1, one.damping()));
    assertTrue(
        report.plan().notes().stream().anyMatch(note -> note.contains("gptq from 2 prompts")),
        report.plan().notes().toString());
    // Errors that are told are those that a reader finds.
    VerifyReport compared =
        new Verifier()
            .compare(
                ZIMAGE,
                folder.resolve("gptq"),
                new MemoryBudget(1 << 21, 2),
                ProgressListener.none(),
                new Cancellation());
    double counted =
        report.tensors().stream()
            .flatMap(one -> one.error().stream())
            .mapToDouble(error -> error.sumSquaredErrors())
            .sum();
    assertEquals(counted, compared.overall().sumSquaredErrors(), 1e-3 * counted);
  }

  /// Slices and threads decide nothing. The second shape has two passes and a clipped range.
  @ParameterizedTest
  @CsvSource({"nf4", "absmax8", "int4:g64:asym"})
  void bytesDoNotDependOnThreadsOrMemory(String scheme) throws IOException {
    Calibration how = svdOrGptq(scheme);
    Path file = folder.resolve("first.safetensors");
    run(request(scheme, "first.safetensors").calibration(how).threads(1).build());
    long memory = ConversionRequest.DEFAULT_MEMORY_BYTES;
    for (int threads : new int[] {2, 3}) {
      String name = "again" + threads + ".safetensors";
      run(
          request(scheme, name)
              .calibration(how)
              .threads(threads)
              .memoryBytes(threads == 2 ? memory : 1 << 20)
              .build());
      assertEquals(-1, Files.mismatch(file, folder.resolve(name)), name);
    }
  }

  private static Calibration svdOrGptq(String scheme) {
    return scheme.startsWith("int4")
        ? svd(8, Optional.of(GptqOptions.RECOMMENDED))
        : gptq(GptqOptions.RECOMMENDED);
  }

  @ParameterizedTest
  @CsvSource({"false, true", "true, false"})
  void groupsThatFollowTheOrderAreToldOf(boolean isStatic, boolean ordered) throws IOException {
    GptqOptions options = new GptqOptions(0.1, true, isStatic, false);
    ConversionReport report =
        run(
            request("int4:g64", "gptq")
                .storage(new GptqStorage(1))
                .calibration(gptq(options))
                .build());
    assertEquals(ordered, quantization("gptq").path("desc_act").asBoolean(!ordered));
    JsonNode twin =
        new ObjectMapper()
            .readTree(Files.readString(folder.resolve("gptq").resolve("quantize_config.json")));
    assertEquals(ordered, twin.path("desc_act").asBoolean(!ordered));
    try (Checkpoint checkpoint = Checkpoints.open(folder.resolve("gptq"))) {
      List<Integer> index = index(checkpoint, QUERY);
      List<Integer> inPlace = new ArrayList<>();
      int[] counts = new int[3];
      for (int i = 0; i < index.size(); i++) {
        inPlace.add(i / 64);
        counts[index.get(i)]++;
      }
      assertEquals(ordered, !index.equals(inPlace));
      assertEquals(List.of(64, 64, 64), List.of(counts[0], counts[1], counts[2]));
      // Who takes the same input has the same order.
      assertEquals(index, index(checkpoint, QUERY.replace("to_q", "to_k")));
    }
    assertDecodes(folder.resolve("gptq"), 100);
    try (OpenModel source = OpenModel.open(ZIMAGE);
        OpenModel found = OpenModel.open(folder.resolve("gptq"))) {
      String weight = QUERY + ".weight";
      double error =
          Decoded.relativeError(Decoded.values(source, weight), Decoded.values(found, weight));
      double told =
          report.tensors().stream()
              .filter(one -> one.plan().source().name().equals(weight))
              .flatMap(one -> one.error().stream())
              .findFirst()
              .orElseThrow()
              .relative();
      assertEquals(told, error, 1e-4);
      assertTrue(error < 0.25, "codes in wrong groups: " + error);
    }
  }

  private static List<Integer> index(Checkpoint checkpoint, String module) {
    TensorInfo info =
        Optional.ofNullable(checkpoint.tensors().get(module + ".g_idx")).orElseThrow();
    MemorySegment data = checkpoint.data(info);
    List<Integer> index = new ArrayList<>();
    for (long i = 0; i < info.shape().elements(); i++) {
      index.add(data.getAtIndex(LittleEndian.INT, i));
    }
    return index;
  }

  /// It has no index of groups, so whatever the order, each input stays in its place.
  @Test
  void compressedTensorsHasStaticGroups() throws IOException {
    ConversionReport dynamic =
        run(
            request("int4:g64", "packed")
                .calibration(gptq(new GptqOptions(0.1, true, false, true)))
                .build());
    assertEquals("pack-quantized", quantization("packed").path("format").asText());
    assertDecodes(folder.resolve("packed"), 100);
    assertTrue(meanOutputError(dynamic) < meanNearest(dynamic));
    run(
        request("int4:g64", "static")
            .calibration(gptq(new GptqOptions(0.1, true, true, true)))
            .build());
    assertEqualTrees(folder.resolve("packed"), folder.resolve("static"));
  }

  @Test
  void branchesStandBesideResiduals() throws IOException {
    ConversionReport plain =
        run(request("nf4", "plain").calibration(gptq(GptqOptions.DEFAULT)).build());
    ConversionReport branch =
        run(request("nf4", "svd").calibration(svd(8, Optional.empty())).build());
    ConversionReport both =
        run(
            request("nf4", "both")
                .calibration(svd(8, Optional.of(GptqOptions.RECOMMENDED)))
                .build());
    TensorPlan.Quantize query =
        branch.plan().tensors().stream()
            .filter(TensorPlan.Quantize.class::isInstance)
            .map(TensorPlan.Quantize.class::cast)
            .filter(weight -> weight.source().name().equals(QUERY + ".weight"))
            .findFirst()
            .orElseThrow();
    assertEquals("nf4+svd8", query.scheme());
    assertEquals("nibble", query.storage().id());
    assertTrue(meanOutputError(branch) < meanNearest(branch));
    assertTrue(meanOutputError(both) < meanOutputError(branch));
    assertTrue(meanNearest(branch) == meanNearest(plain), "the same rounding to nearest");
    assertDecodes(folder.resolve("svd"), 100);
    assertDecodes(folder.resolve("both"), 100);
    // The whole weight, as decoded, is closer than what nf4 alone makes of it.
    run(request("nf4", "nearest").build());
    assertTrue(weightError("svd") < weightError("nearest"));
  }

  private double weightError(String output) throws IOException {
    try (OpenModel source = OpenModel.open(ZIMAGE);
        OpenModel found = OpenModel.open(folder.resolve(output))) {
      String weight = QUERY + ".weight";
      return Decoded.relativeError(Decoded.values(source, weight), Decoded.values(found, weight));
    }
  }

  /// Each has a calibrator of its own, or none.
  @Test
  void severalOutputsOfOneRead() throws IOException {
    Calibration gptq = gptq(GptqOptions.RECOMMENDED);
    List<ConversionRequest.Builder> wishes =
        List.of(
            request("nf4", "0").calibration(gptq),
            request("nf4", "1"),
            request("absmax8", "2").calibration(gptq));
    Converter converter = new Converter();
    List<ConversionPlan> plans = new ArrayList<>();
    for (ConversionRequest.Builder wish : wishes) {
      plans.add(converter.plan(wish.build()));
    }
    converter.run(plans, ProgressListener.none(), new Cancellation());
    for (int i = 0; i < wishes.size(); i++) {
      Path alone = folder.resolve("alone" + i);
      run(wishes.get(i).output(alone).build());
      assertEqualTrees(alone, folder.resolve(String.valueOf(i)));
    }
    assertNotEquals(
        -1,
        Files.mismatch(
            weights(folder.resolve("0")).getFirst(), weights(folder.resolve("1")).getFirst()));
  }

  private static List<Path> weights(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(file -> file.toString().endsWith(".safetensors")).sorted().toList();
    }
  }

  /// The statistics can be removed afterwards, and nothing is left of the output.
  @Test
  void cancelledRunsLeaveNothing() throws IOException {
    Path own = Files.copy(stats, folder.resolve("own.safetensors"));
    Calibration how =
        new Calibration(
            own,
            Optional.of(GptqOptions.RECOMMENDED),
            Optional.empty(),
            OptionalInt.empty(),
            false);
    Converter converter = new Converter();
    ConversionPlan plan = converter.plan(request("nf4", "out").calibration(how).build());
    Cancellation cancellation = new Cancellation();
    AtomicInteger told = new AtomicInteger();
    ProgressListener listener =
        (_, _, _) -> {
          if (told.incrementAndGet() == 5) {
            cancellation.cancel();
          }
        };
    assertThrows(
        ConversionCancelledException.class, () -> converter.run(plan, listener, cancellation));
    Files.delete(own);
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(), files.toList());
    }
    assertFalse(Files.exists(folder.resolve("out")));
  }
}
