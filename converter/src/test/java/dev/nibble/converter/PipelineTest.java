package dev.nibble.converter;

import static dev.nibble.converter.EqualCheckpoints.assertEqualTrees;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.GptqStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Whole pipelines: components as if converted alone, the rest copied, all or nothing.
class PipelineTest {
  private static final Path ZIMAGE = Fixtures.path("models/emoji-zimage");
  private static final List<String> COPIED = List.of("scheduler", "tokenizer", "vae");

  @TempDir Path folder;

  private final Converter converter = new Converter();
  private Path source = ZIMAGE;
  private Path target = ZIMAGE;

  @BeforeEach
  void copyFixture() throws IOException {
    source = folder.resolve("z");
    target = folder.resolve("out");
    copyTree(ZIMAGE, source);
  }

  private static void copyTree(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Path copy = to.resolve(from.relativize(file));
        if (Files.isDirectory(file)) {
          Files.createDirectories(copy);
        } else {
          Files.copy(file, copy, StandardCopyOption.REPLACE_EXISTING);
        }
      }
    }
  }

  private ConversionRequest.Builder nf4() {
    return ConversionRequest.builder(source)
        .scheme(QuantSchemes.parse("nf4"))
        .output(target)
        .threads(2);
  }

  private PipelineReport run(PipelineRequest request) throws IOException {
    return converter
        .runPipelines(List.of(converter.plan(request)), ProgressListener.none(), new Cancellation())
        .getFirst();
  }

  private String refusal(PipelineRequest request) {
    return String.valueOf(
        assertThrows(NibbleException.class, () -> converter.plan(request)).getMessage());
  }

  private List<String> names(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  private void alone(String component, String scheme, Path output) throws IOException {
    ConversionRequest request =
        ConversionRequest.builder(source.resolve(component))
            .scheme(QuantSchemes.parse(scheme))
            .output(output)
            .build();
    converter.run(converter.plan(request), ProgressListener.none(), new Cancellation());
  }

  @Test
  void componentsAreAsIfConvertedAloneAndTheRestIsCopied() throws IOException {
    PipelineReport report = run(PipelineRequest.of(nf4().build()));
    assertEquals(
        List.of(
            "LICENSE",
            "README.md",
            "model_index.json",
            "nibble.json",
            "scheduler",
            "text_encoder",
            "tokenizer",
            "transformer",
            "vae"),
        names(target));
    for (String component : List.of("transformer", "text_encoder")) {
      Path alone = folder.resolve("alone-" + component);
      alone(component, "nf4", alone);
      assertEqualTrees(alone, target.resolve(component));
    }
    for (String name : COPIED) {
      assertEqualTrees(source.resolve(name), target.resolve(name));
    }
    Set<Path> written = new TreeSet<>();
    long bytes = 0;
    try (Stream<Path> files = Files.walk(target)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        written.add(file);
        bytes += Files.size(file);
      }
    }
    assertEquals(written, new TreeSet<>(report.outputs()));
    assertEquals(bytes, report.bytesWritten());
    assertEquals(Set.of("transformer", "text_encoder"), report.components().keySet());
    assertEquals(Set.of("vae"), report.plan().kept().keySet());
    assertTrue(
        report.plan().notes().stream()
            .anyMatch(note -> note.contains("model_index.json does not name them: reference")),
        report.plan().notes().toString());
    assertTrue(
        report
            .plan()
            .notes()
            .contains(
                "opens with diffusers: ZImagePipeline.from_pretrained(DIR, torch_dtype=torch.bfloat16)"),
        report.plan().notes().toString());
  }

  @Test
  void componentsMayHaveSchemesOfTheirOwn() throws IOException {
    Map<String, Optional<QuantScheme>> components =
        Map.of(
            "text_encoder",
            Optional.of(QuantSchemes.parse("int8")),
            "vae",
            Optional.of(QuantSchemes.parse("nf4:64:plain")),
            "transformer",
            Optional.empty());
    run(new PipelineRequest(nf4().build(), components, Map.of()));
    alone("text_encoder", "int8", folder.resolve("text"));
    alone("vae", "nf4:64:plain", folder.resolve("vae"));
    assertEqualTrees(folder.resolve("text"), target.resolve("text_encoder"));
    assertEqualTrees(folder.resolve("vae"), target.resolve("vae"));
    assertEqualTrees(source.resolve("transformer"), target.resolve("transformer"));
  }

  @Test
  void componentsMayHaveStoragesOfTheirOwn() throws IOException {
    PipelineRequest request =
        new PipelineRequest(
            nf4().force(true).build(),
            Map.of("text_encoder", Optional.of(QuantSchemes.parse("int4:g32"))),
            Map.of("text_encoder", new GptqStorage(1)));
    PipelineReport report = run(request);
    Path expected = folder.resolve("alone-transformer");
    alone("transformer", "nf4", expected);
    assertEqualTrees(expected, target.resolve("transformer"));
    Path encoder = folder.resolve("alone-encoder");
    ConversionRequest alone =
        ConversionRequest.builder(source.resolve("text_encoder"))
            .scheme(QuantSchemes.parse("int4:g32"))
            .storage(new GptqStorage(1))
            .output(encoder)
            .build();
    converter.run(converter.plan(alone), ProgressListener.none(), new Cancellation());
    assertEqualTrees(encoder, target.resolve("text_encoder"));
    assertTrue(report.outputs().contains(target.resolve("text_encoder/quantize_config.json")));
    run(request); // may replace itself, the second configuration included
  }

  @Test
  void storagesOfWhatIsNotQuantizedAreRefused() {
    GptqStorage gptq = new GptqStorage(1);
    String kept = refusal(new PipelineRequest(nf4().build(), Map.of(), Map.of("vae", gptq)));
    assertTrue(kept.contains("--format vae=gptq: no layer of it is quantized"), kept);
    String none = refusal(new PipelineRequest(nf4().build(), Map.of(), Map.of("unet", gptq)));
    assertTrue(none.contains("--format 'unet' is none of its components"), none);
  }

  @Test
  void withoutASchemeForAllOnlyNamedComponentsAreQuantized() throws IOException {
    PipelinePlan plan =
        converter.plan(
            new PipelineRequest(
                nf4().schemes(List.of()).build(),
                Map.of("transformer", Optional.of(QuantSchemes.parse("nf4"))),
                Map.of()));
    assertEquals(Set.of("transformer"), plan.components().keySet());
    assertEquals(Set.of("text_encoder", "vae"), plan.kept().keySet());
  }

  @Test
  void patternsMatchAnywhereButNotNowhere() throws IOException {
    PipelinePlan plan =
        converter.plan(PipelineRequest.of(nf4().skip("adaLN_modulation", "mlp.up_proj").build()));
    assertEquals(Set.of("--skip adaLN_modulation", "--skip mlp.up_proj"), plan.matches().keySet());
    assertTrue(plan.matches().values().stream().allMatch(count -> count > 1));
    String refusal = refusal(PipelineRequest.of(nf4().skip("adaLN_modulatoin").build()));
    assertTrue(refusal.contains("--skip 'adaLN_modulatoin' matches no module"), refusal);
    PipelinePlan one =
        converter.plan(PipelineRequest.of(nf4().only(List.of("adaLN_modulation")).build()));
    assertEquals(Set.of("transformer"), one.components().keySet());
    assertEquals(Set.of("text_encoder", "vae"), one.kept().keySet());
  }

  @Test
  void severalOutputsReadEachComponentOnce() throws IOException {
    List<PipelinePlan> plans = new ArrayList<>();
    for (String scheme : List.of("nf4", "int8")) {
      ConversionRequest.Builder request = nf4().scheme(QuantSchemes.parse(scheme));
      run(PipelineRequest.of(request.output(folder.resolve("alone").resolve(scheme)).build()));
      plans.add(
          converter.plan(
              PipelineRequest.of(
                  request.output(folder.resolve("together").resolve(scheme)).build())));
    }
    Set<Long> totals = new ConcurrentSkipListSet<>();
    converter.runPipelines(plans, (name, done, total) -> totals.add(total), new Cancellation());
    assertEqualTrees(folder.resolve("alone"), folder.resolve("together"));
    assertEquals(Set.of(plans.getFirst().bytesIn() + plans.getLast().copiedBytes()), totals);
  }

  @Test
  void asOneNamesTensorsByComponent() throws IOException {
    PipelineReport report = run(PipelineRequest.of(nf4().build()));
    ConversionReport one = report.asOne();
    int tensors = 0;
    for (ConversionReport component : report.components().values()) {
      tensors += component.tensors().size();
    }
    assertEquals(tensors, one.tensors().size());
    assertEquals(
        tensors,
        one.tensors().stream().map(tensor -> tensor.plan().source().name()).distinct().count());
    assertTrue(
        one.tensors().stream()
            .anyMatch(tensor ->
                tensor.plan().source().name().equals("transformer/t_embedder.mlp.0.weight")));
    assertEquals(report.bytesWritten(), one.bytesWritten());
  }

  @Test
  void refusesWhatIsAboutOneModel() throws IOException {
    assertTrue(refusal(PipelineRequest.of(nf4().family("flux").build())).contains("--family"));
    assertTrue(
        refusal(PipelineRequest.of(nf4().form(ConversionRequest.OutputForm.FILE).build()))
            .contains("-o DIR/"));
    assertTrue(
        refusal(new PipelineRequest(nf4().build(), Map.of("unet", Optional.empty()), Map.of()))
            .contains("text_encoder, transformer, vae"));
    assertTrue(
        refusal(
                PipelineRequest.of(
                    ConversionRequest.builder(source.resolve("transformer"))
                        .scheme(QuantSchemes.parse("nf4"))
                        .build()))
            .contains("one model, not a pipeline"));
    for (Path bad : List.of(source, source.resolve("inside"), folder)) {
      assertTrue(
          refusal(PipelineRequest.of(nf4().output(bad).force(true).build())).contains("input"));
    }
  }

  @Test
  void replacesAnEarlierOutputOnly() throws IOException {
    run(PipelineRequest.of(nf4().build()));
    assertTrue(refusal(PipelineRequest.of(nf4().build())).contains("--force"));
    run(PipelineRequest.of(nf4().force(true).scheme(QuantSchemes.parse("int8")).build()));
    Path mine = Files.writeString(target.resolve("vae").resolve("notes.txt"), "mine");
    String refusal = refusal(PipelineRequest.of(nf4().force(true).build()));
    assertTrue(refusal.contains("vae/notes.txt"), refusal);
    assertEquals("mine", Files.readString(mine));
  }

  @Test
  void onlyTheWeightsThatLoadersTakeAreCopied() throws IOException {
    Path vae = source.resolve("vae");
    Files.copy(
        vae.resolve("diffusion_pytorch_model.safetensors"),
        vae.resolve("diffusion_pytorch_model.fp16.safetensors"));
    Files.writeString(vae.resolve("diffusion_pytorch_model.bin"), "pickled");
    Files.writeString(source.resolve("all_in_one.safetensors"), "a single file beside");
    Files.createDirectory(source.resolve(".cache"));
    run(PipelineRequest.of(nf4().build()));
    assertEquals(
        List.of("config.json", "diffusion_pytorch_model.safetensors"),
        names(target.resolve("vae")));
    assertFalse(Files.exists(target.resolve("all_in_one.safetensors")));
    assertFalse(Files.exists(target.resolve(".cache")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"CONVERTING", "slice:30", "slice:150", "COMMITTING"})
  void killedAtFailpointLeavesNothingUnderTheTargetName(String failpoint) throws Exception {
    List<String> args = List.of(source.toString(), target.toString(), "nf4", failpoint);
    try (ChildProcess child = ChildProcess.start("", args)) {
      assertEquals("AT " + failpoint, child.line());
      child.kill();
    }
    assertFalse(Files.exists(target));
    assertEqualTrees(ZIMAGE, source);
    run(PipelineRequest.of(nf4().build()));
    assertEquals(List.of("out", "z"), names(folder));
  }

  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void aFullDiskFailsInOneLineAndLeavesNoLitter() throws Exception {
    // Kilobytes: enough for the text encoder, too little for the transformer or the VAE.
    List<String> args = List.of(source.toString(), target.toString(), "nf4", "none");
    try (ChildProcess child = ChildProcess.start("ulimit -f 3000", args)) {
      String line = child.line();
      assertTrue(line.startsWith("FAILED ") && line.contains("ulimit -f"), line);
      assertEquals(1, child.await());
    }
    assertEquals(List.of("z"), names(folder));
  }

  @Test
  void cancellationInAnyPartLeavesNoLitter() throws IOException {
    for (double part : new double[] {0.1, 0.5, 0.9}) {
      Cancellation cancellation = new Cancellation();
      PipelinePlan plan = converter.plan(PipelineRequest.of(nf4().build()));
      ProgressListener listener =
          (tensor, done, total) -> {
            if (done > total * part) {
              cancellation.cancel();
            }
          };
      assertThrows(
          ConversionCancelledException.class,
          () -> converter.runPipelines(List.of(plan), listener, cancellation));
      assertEquals(List.of("z"), names(folder));
    }
  }
}
