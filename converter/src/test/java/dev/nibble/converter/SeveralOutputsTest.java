package dev.nibble.converter;

import static dev.nibble.converter.EqualCheckpoints.assertEqualTrees;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.GptqStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Several outputs of one read are what each is alone.
class SeveralOutputsTest {
  private static final Path ZIMAGE = Fixtures.path("models/emoji-zimage/transformer");
  private static final List<String> SCHEMES =
      List.of("nf4", "int8", "affine8:64", "fp8", "fp8:row", "int4:g32", "fp4:4096:plain");

  @TempDir Path folder;

  private final Converter converter = new Converter();

  private List<ConversionPlan> plans(String set, long memory) throws IOException {
    List<ConversionPlan> plans = new ArrayList<>();
    for (String scheme : SCHEMES) {
      // The last has other layers quantized, so that a tensor is copied in one and not in others.
      List<String> skip = scheme.startsWith("fp4") ? List.of("feed_forward") : List.of();
      plans.add(
          converter.plan(
              ConversionRequest.builder(ZIMAGE)
                  .scheme(QuantSchemes.parse(scheme))
                  .skip(skip)
                  .output(folder.resolve(set).resolve(scheme.replace(':', '-')))
                  .threads(2)
                  .memoryBytes(memory)
                  .build()));
    }
    return plans;
  }

  @Test
  void eachIsAsIfMadeAlone() throws IOException {
    for (ConversionPlan plan : plans("alone", ConversionRequest.DEFAULT_MEMORY_BYTES)) {
      converter.run(plan, ProgressListener.none(), new Cancellation());
    }
    for (long memory : new long[] {1 << 20, ConversionRequest.DEFAULT_MEMORY_BYTES}) {
      Set<Long> totals = new ConcurrentSkipListSet<>();
      String set = "together" + memory;
      List<ConversionReport> reports =
          converter.run(
              plans(set, memory), (tensor, done, total) -> totals.add(total), new Cancellation());
      assertEquals(SCHEMES.size(), reports.size());
      assertEqualTrees(folder.resolve("alone"), folder.resolve(set));
      // Every byte of the source is read once, not once for each output.
      assertEquals(Set.of(reports.getFirst().plan().bytesIn()), totals);
    }
  }

  /// A weight that one output looks at before it takes it, and that another puts in its own order.
  @Test
  void twoPassesAndOnePassOfOneRead() throws IOException {
    List<ConversionPlan> plans = new ArrayList<>();
    for (String set : List.of("alone", "together")) {
      plans.clear();
      plans.add(inFile(set, "fp8", Optional.empty()));
      plans.add(inFile(set, "nf4", Optional.empty()));
      plans.add(inFile(set, "int4:g32", Optional.of(new GptqStorage(1))));
      if (set.equals("alone")) {
        for (ConversionPlan plan : plans) {
          converter.run(plan, ProgressListener.none(), new Cancellation());
        }
      }
    }
    converter.run(plans, ProgressListener.none(), new Cancellation());
    assertEqualTrees(folder.resolve("alone"), folder.resolve("together"));
  }

  private ConversionPlan inFile(String set, String scheme, Optional<QuantStorage> storage)
      throws IOException {
    ConversionRequest.Builder request =
        ConversionRequest.builder(ZIMAGE)
            .scheme(QuantSchemes.parse(scheme))
            .names(Dialect.ORIGINAL)
            .form(ConversionRequest.OutputForm.FILE)
            .output(folder.resolve(set).resolve(scheme.replace(':', '-') + ".safetensors"))
            .threads(4)
            .memoryBytes(1 << 20);
    storage.ifPresent(request::storage);
    return converter.plan(request.build());
  }

  /// Slices of whole rows of 2561 elements that are whole blocks of 4096 too are larger than the
  /// memory bound allows: such a tensor is read for each output.
  @Test
  void rowsAndBlocksWithoutACommonSlice() throws IOException {
    Path source = oddRows();
    List<ConversionPlan> plans = new ArrayList<>();
    for (String scheme : List.of("int8", "nf4:4096:plain")) {
      ConversionRequest.Builder request =
          ConversionRequest.builder(source)
              .scheme(QuantSchemes.parse(scheme))
              .threads(1)
              .memoryBytes(1 << 20);
      String name = scheme.replace(':', '-') + ".safetensors";
      ConversionPlan alone =
          converter.plan(request.output(folder.resolve("alone").resolve(name)).build());
      converter.run(alone, ProgressListener.none(), new Cancellation());
      plans.add(converter.plan(request.output(folder.resolve("together").resolve(name)).build()));
    }
    Set<Long> totals = new ConcurrentSkipListSet<>();
    converter.run(plans, (tensor, done, total) -> totals.add(total), new Cancellation());
    assertEqualTrees(folder.resolve("alone"), folder.resolve("together"));
    assertEquals(Set.of(2 * plans.getFirst().bytesIn()), totals);
  }

  private Path oddRows() throws IOException {
    TensorSpec weight = new TensorSpec("a.weight", DType.F32, Shape.of(512, 2561));
    MemorySegment data = MemorySegment.ofArray(new float[512 * 2561]);
    for (int i = 0; i < 512 * 2561; i++) {
      data.setAtIndex(LittleEndian.FLOAT, i, (float) Math.sin(i));
    }
    Path file = folder.resolve("odd.safetensors");
    SafetensorsLayout layout = SafetensorsLayout.plan(List.of(weight), List.of(), Map.of());
    try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout)) {
      writer.write(weight.name(), 0, data);
      writer.finish();
    }
    return file;
  }

  @Test
  void aCancelledRunLeavesNone() throws IOException {
    List<ConversionPlan> plans = plans("cancelled", ConversionRequest.DEFAULT_MEMORY_BYTES);
    Cancellation cancellation = new Cancellation();
    ProgressListener listener =
        (tensor, done, total) -> {
          if (done > total / 2) {
            cancellation.cancel();
          }
        };
    assertThrows(
        ConversionCancelledException.class, () -> converter.run(plans, listener, cancellation));
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(), left.toList());
    }
  }

  @Test
  void plansOfDifferentSourcesDoNotRunTogether() throws IOException {
    ConversionPlan first = plans("a", ConversionRequest.DEFAULT_MEMORY_BYTES).getFirst();
    ConversionPlan other =
        converter.plan(
            ConversionRequest.builder(Fixtures.path("models/emoji-qwen/transformer-qwen"))
                .scheme(QuantSchemes.parse("nf4"))
                .output(folder.resolve("b"))
                .build());
    assertThrows(
        IllegalArgumentException.class,
        () -> converter.run(List.of(first, other), ProgressListener.none(), new Cancellation()));
  }
}
