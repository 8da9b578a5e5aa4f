package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.converter.ConversionRequest.OutputForm;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.FourBitType;
import dev.nibble.formats.quant.QuantScheme;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Form and name of the output, and what it must never replace.
class OutputTargetTest {
  private static final QuantScheme NF4 = new FourBit(FourBitType.NF4, 64, true);

  @TempDir Path folder;
  private Path file;
  private Path model;

  @BeforeEach
  void write() throws IOException {
    file = TestModels.write(folder.resolve("flux.safetensors"), TestModels.flux(), DType.BF16);
    model = Files.createDirectory(folder.resolve("transformer"));
    TestModels.write(model.resolve("own.safetensors"), TestModels.flux(), DType.BF16);
    Files.writeString(model.resolve("config.json"), "{\"_class_name\":\"FluxTransformer2DModel\"}");
    Files.writeString(model.resolve("LICENSE"), "text");
  }

  @Test
  void aDirectoryMakesADirectoryBesideIt() throws IOException {
    ConversionPlan plan = plan(of(model));
    assertEquals(folder.resolve("transformer-nf4"), plan.target());
    assertTrue(plan.directory());
    assertEquals("diffusion_pytorch_model", plan.baseName());
    assertEquals(Map.of("LICENSE", model.resolve("LICENSE")), plan.copied());
    ConversionPlan groups = plan(ConversionRequest.builder(model).scheme(new AbsmaxInt8(128)));
    assertEquals(folder.resolve("transformer-absmax8-128"), groups.target());
  }

  @Test
  void aDirectoryEndingInADotIsNamedAsWell() throws IOException {
    assertEquals(folder.resolve("transformer-nf4"), plan(of(model.resolve("."))).target());
  }

  @Test
  void aBareFileMakesAFile() throws IOException {
    ConversionPlan plan = plan(of(file));
    assertEquals(folder.resolve("flux-nf4.safetensors"), plan.target());
    assertFalse(plan.directory());
    assertTrue(plan.configuration().isEmpty());
    assertTrue(plan.notes().stream().anyMatch(note -> note.contains("--config")));
  }

  @Test
  void aFileWithAConfigurationMakesADirectory() throws IOException {
    Path config = model.resolve("config.json");
    ConversionPlan named = plan(of(file).config(config));
    assertEquals(folder.resolve("flux-nf4"), named.target());
    assertTrue(named.directory());
    assertEquals("diffusion_pytorch_model", named.baseName());
    assertTrue(named.configuration().orElseThrow().contains("quantization_config"));
    ConversionPlan beside = plan(of(model.resolve("own.safetensors")).output(folder.resolve("x")));
    assertTrue(beside.directory());
    assertEquals(folder.resolve("x"), beside.target());
  }

  @Test
  void theOutputForcesItsForm() throws IOException {
    Path out = folder.resolve("X.safetensors");
    assertFalse(plan(of(model).output(out)).directory());
    assertEquals("X", plan(of(model).output(out)).baseName());
    assertFalse(plan(of(model).form(OutputForm.FILE)).directory());
    assertTrue(
        refusal(of(file).form(OutputForm.DIRECTORY).output(folder.resolve("d")))
            .contains("--config FILE"));
  }

  @Test
  void originalNamesMakeADirectoryWhereTheyAreKnown() throws IOException {
    Path config = model.resolve("config.json");
    Map<String, Shape> bundle =
        new LinkedHashMap<>(TestModels.fluxOriginal("model.diffusion_model."));
    bundle.put("vae.decoder.mid.attn_1.q.weight", Shape.of(64, 64));
    Path bundled = TestModels.write(folder.resolve("bundle.safetensors"), bundle, DType.BF16);
    ConversionPlan plan = plan(of(bundled));
    assertEquals(
        "not part of the diffusion model",
        plan.tensors().stream()
            .filter(tensor -> tensor.source().name().startsWith("vae."))
            .findFirst()
            .orElseThrow()
            .reason());
    assertTrue(plan.notes().stream().anyMatch(note -> note.contains("ComfyUI")));
    ConversionPlan directory = plan(of(bundled).config(config));
    assertTrue(directory.directory());
    assertTrue(
        directory.notes().stream().anyMatch(note -> note.contains("1 tensor left out")),
        directory.notes().toString());
    Map<String, Shape> untabled = new LinkedHashMap<>();
    TestModels.linear(untabled, "joint_blocks.0.x_block.attn.qkv", 192, 64);
    TestModels.linear(untabled, "joint_blocks.0.context_block.attn.qkv", 192, 64);
    TestModels.linear(untabled, "joint_blocks.0.context_block.adaLN_modulation.1", 64, 64);
    Path sd3 = TestModels.write(folder.resolve("sd3.safetensors"), untabled, DType.BF16);
    assertTrue(refusal(of(sd3).form(OutputForm.DIRECTORY)).contains("-o X.safetensors"));
    Path original =
        TestModels.write(
            folder.resolve("original.safetensors"), TestModels.fluxOriginal(""), DType.BF16);
    Files.copy(config, folder.resolve("config.json"));
    assertFalse(plan(of(original)).directory(), "the configuration beside it is of no use");
  }

  @Test
  void refusesToTouchTheInput() throws IOException {
    for (Path bad :
        new Path[] {model, model.resolve("sub"), folder, model.resolve("../transformer/x")}) {
      assertTrue(refusal(of(model).output(bad).force(true)).contains("input"), bad.toString());
    }
    assertTrue(refusal(of(file).output(file).force(true)).contains("is the input"));
    assertTrue(
        refusal(of(model).output(model.resolve("own.safetensors")).force(true)).contains("input"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), model);
    assertTrue(refusal(of(model).output(link).force(true)).contains("is the input"));
    assertTrue(refusal(of(link).output(model.resolve("x")).force(true)).contains("lies inside"));
  }

  @Test
  void replacesOnlyWithForceAndOnlyAModel() throws IOException {
    Path out = Files.createDirectory(folder.resolve("out"));
    Files.writeString(out.resolve("diffusion_pytorch_model.safetensors"), "old");
    assertTrue(refusal(of(model).output(out)).contains("--force"));
    assertEquals(out, plan(of(model).output(out).force(true)).target());
    Files.createDirectory(out.resolve("photos"));
    assertTrue(refusal(of(model).output(out).force(true)).contains("photos"));
    assertTrue(
        refusal(of(model).output(out).form(OutputForm.FILE).force(true))
            .contains("is a directory"));
    Path dangling = Files.createSymbolicLink(folder.resolve("gone"), folder.resolve("nowhere"));
    assertTrue(refusal(of(model).output(dangling)).contains("--force"));
  }

  @Test
  void anIndexIsNamedAfterItsBase() throws IOException {
    Path index = folder.resolve("big.safetensors.index.json");
    StringBuilder map = new StringBuilder();
    TestModels.flux()
        .keySet()
        .forEach(name ->
            map.append(map.isEmpty() ? "" : ",")
                .append("\"%s\":\"flux.safetensors\"".formatted(name)));
    Files.writeString(index, "{\"metadata\":{},\"weight_map\":{%s}}".formatted(map));
    assertEquals(folder.resolve("big-nf4.safetensors"), plan(of(index)).target());
  }

  private static ConversionRequest.Builder of(Path source) {
    return ConversionRequest.builder(source).scheme(NF4);
  }

  private static ConversionPlan plan(ConversionRequest.Builder request) throws IOException {
    return new Planner().plan(request.build());
  }

  private static String refusal(ConversionRequest.Builder request) {
    return String.valueOf(
        assertThrows(ConversionException.class, () -> plan(request)).getMessage());
  }
}
