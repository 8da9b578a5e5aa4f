package dev.nibble.formats.diffusers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.diffusers.ModelDirectory.Model;
import dev.nibble.formats.diffusers.ModelDirectory.Pipeline;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelDirectoryTest {
  private static final String DIFFUSERS = "{\"_class_name\":\"X\"}";
  private static final String TRANSFORMERS = "{\"architectures\":[\"X\"],\"model_type\":\"x\"}";

  @TempDir Path folder;

  @Test
  void readsThePipelineFixture() throws IOException {
    Path path = Fixtures.path("models/emoji-zimage");
    var pipeline = assertInstanceOf(Pipeline.class, ModelDirectory.inspect(path));
    assertEquals(
        List.of(path.resolve("text_encoder"), path.resolve("transformer"), path.resolve("vae")),
        pipeline.components());
    String message = String.valueOf(pipeline.refusal().getMessage());
    assertTrue(message.startsWith(path + ": this is a pipeline"), message);
    assertTrue(message.contains("components (text_encoder, transformer, vae)"), message);
  }

  @ParameterizedTest
  @CsvSource({
    "emoji-zimage/transformer, DIFFUSERS, diffusion_pytorch_model, .index.json",
    "emoji-zimage/vae, DIFFUSERS, diffusion_pytorch_model, ''",
    "emoji-zimage/text_encoder, TRANSFORMERS, model, .index.json",
    "emoji-qwen/transformer-qwen, DIFFUSERS, diffusion_pytorch_model, .index.json"
  })
  void readsTheModelFixtures(String fixture, Kind kind, String base, String ending)
      throws IOException {
    Path path = Fixtures.path("models/" + fixture);
    Path weights = path.resolve(base + ".safetensors" + ending);
    Optional<Path> config = Optional.of(path.resolve("config.json"));
    var model = model(path);
    assertEquals(new Model(path, kind, weights, config, List.of()), model);
    assertEquals(base, model.baseName());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        // files, chosen, base name
        "a.safetensors | a.safetensors | a",
        "a.safetensors a.fp16.safetensors | a.safetensors | a",
        "a.fp16.safetensors | a.fp16.safetensors | a.fp16",
        "a.safetensors.index.json a-00001-of-00001.safetensors | a.safetensors.index.json | a",
        "a.safetensors.index.fp16.json a.fp16-00001-of-00001.safetensors"
            + " | a.safetensors.index.fp16.json | a",
        "a.safetensors.index.fp16.json a.safetensors | a.safetensors | a",
        "a.safetensors b.bin | a.safetensors | a"
      })
  void choosesInBareDirectories(String files, String chosen, String base) throws IOException {
    touch(files);
    var model = model(folder);
    assertEquals(Kind.BARE, model.kind());
    assertEquals(folder.resolve(chosen), model.weights());
    assertEquals(base, model.baseName());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model.safetensors diffusion_pytorch_model.safetensors | diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.safetensors diffusion_pytorch_model.fp16.safetensors"
            + " | diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.safetensors diffusion_pytorch_model.safetensors.index.fp16.json"
            + " | diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.fp16.safetensors x.safetensors"
            + " | diffusion_pytorch_model.fp16.safetensors",
        "flux1-dev.safetensors | flux1-dev.safetensors"
      })
  void choosesInDiffusersDirectories(String files, String chosen) throws IOException {
    Files.writeString(folder.resolve("config.json"), DIFFUSERS);
    touch(files);
    var model = model(folder);
    assertEquals(folder.resolve(chosen), model.weights());
    assertEquals("diffusion_pytorch_model", model.baseName());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a.safetensors b.safetensors"
            + " | several weights, name the file to use: a.safetensors, b.safetensors",
        "model.safetensors model.safetensors.index.json | several weights",
        "model.fp16.safetensors model.bf16.safetensors | several weights",
        "a-00001-of-00002.safetensors | shards (a-00001-of-00002.safetensors) but not their",
        "pytorch_model.bin model.gguf | only model.gguf, pytorch_model.bin: fetch",
        "readme.txt | holds no *.safetensors file"
      })
  void refusesWhatItCannotChoose(String files, String expected) throws IOException {
    Files.writeString(folder.resolve("config.json"), TRANSFORMERS);
    touch(files);
    var refusal = assertThrows(UnsupportedException.class, () -> ModelDirectory.inspect(folder));
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.startsWith(folder + ": "), message);
    assertTrue(message.contains(expected), message);
  }

  @Test
  void otherFilesAreThoseThatAreNoWeights() throws IOException {
    Files.writeString(folder.resolve("config.json"), TRANSFORMERS);
    touch("model.safetensors.index.json model-00001-of-00001.safetensors tokenizer.json LICENSE");
    touch("generation_config.json merges.txt spiece.model .gitattributes README.md");
    touch("pytorch_model.bin x.onnx y.GGUF model.safetensors.index.fp16.json optimizer.pt");
    Files.createDirectory(folder.resolve("onnx"));
    try (var huge = new RandomAccessFile(folder.resolve("dump.txt").toFile(), "rw")) {
      huge.setLength(65L << 20);
    }
    assertEquals(
        List.of(
            "LICENSE",
            "README.md",
            "generation_config.json",
            "merges.txt",
            "spiece.model",
            "tokenizer.json"),
        model(folder).others().stream().map(file -> file.getFileName().toString()).toList());
  }

  @Test
  void brokenConfigIsNamed() throws IOException {
    touch("model.safetensors");
    Path config = Files.writeString(folder.resolve("config.json"), "{\"model_type\":}");
    var fault = assertThrows(FormatException.class, () -> ModelDirectory.inspect(folder));
    assertEquals(config, fault.where().file());
  }

  @Test
  void missingDirectoryIsNamed() {
    Path missing = folder.resolve("missing");
    var failure = assertThrows(IOException.class, () -> ModelDirectory.inspect(missing));
    assertEquals(missing + ": no such file or directory", failure.getMessage());
  }

  private static Model model(Path path) throws IOException {
    return assertInstanceOf(Model.class, ModelDirectory.inspect(path));
  }

  private void touch(String names) throws IOException {
    for (String name : names.split(" ")) {
      Files.createFile(folder.resolve(name));
    }
  }
}
