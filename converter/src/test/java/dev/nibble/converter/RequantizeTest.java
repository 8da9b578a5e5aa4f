package dev.nibble.converter;

import static dev.nibble.converter.EqualCheckpoints.assertEqualTensors;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.GptqStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A quantized source, decoded on the fly: the output is that of `dequantize`, then `quantize`.
class RequantizeTest {
  private static final Path QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen");

  @TempDir Path folder;

  private final Converter converter = new Converter();

  private ConversionReport quantize(ConversionRequest.Builder request, String name)
      throws IOException {
    Path output = folder.resolve(name);
    ConversionPlan plan = converter.plan(request.output(output).threads(2).build());
    return converter.run(plan, ProgressListener.none(), new Cancellation());
  }

  private static ConversionRequest.Builder request(Path source, String scheme) {
    return ConversionRequest.builder(source).scheme(QuantSchemes.parse(scheme));
  }

  private void dequantize(Path source, String name) throws IOException {
    new Dequantizer()
        .run(
            new DequantizeRequest(
                source,
                Optional.empty(),
                Optional.of(folder.resolve(name)),
                ConversionRequest.OutputForm.AUTO,
                false,
                ConversionRequest.DEFAULT_SHARD_BYTES,
                2,
                ConversionRequest.DEFAULT_MEMORY_BYTES),
            ProgressListener.none(),
            new Cancellation());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nf4",
        "fp4:128:plain",
        "int8",
        "absmax8",
        "affine8:64",
        "bnb8-dynamic",
        "int4:g32:asym",
        "fp8",
        "fp8:plain"
      })
  void equalsDequantizeThenQuantize(String first) throws IOException {
    quantize(request(QWEN, first), "once");
    dequantize(folder.resolve("once"), "plain");
    for (String second : new String[] {"nf4", "int8", "fp8"}) {
      quantize(request(folder.resolve("plain"), second), "expected-" + second);
      quantize(request(folder.resolve("once"), second).allowRequantize(true), "found-" + second);
      assertEqualTensors(folder.resolve("expected-" + second), folder.resolve("found-" + second));
    }
  }

  /// A source of ggml's blocks, put in GPTQ's order.
  @Test
  void ggufBecomesGptq() throws IOException {
    quantize(request(QWEN, "gguf:q8_0"), "once.gguf");
    dequantize(folder.resolve("once.gguf"), "plain.safetensors");
    GptqStorage gptq = new GptqStorage(1);
    Path config = QWEN.resolve("config.json");
    quantize(
        request(folder.resolve("plain.safetensors"), "int4:g32").storage(gptq).config(config),
        "expected");
    ConversionReport report =
        quantize(
            request(folder.resolve("once.gguf"), "int4:g32")
                .storage(gptq)
                .config(config)
                .allowRequantize(true),
            "found");
    assertTrue(
        report.plan().notes().contains("GPTQ: diffusers (0.40) does not open it, nibble does"),
        report.plan().notes().toString());
    assertEqualTensors(folder.resolve("expected"), folder.resolve("found"));
    try (Checkpoint found = Checkpoints.open(folder.resolve("found"))) {
      assertTrue(found.tensors().containsKey("transformer_blocks.0.attn.to_q.qweight"));
    }
    assertTrue(Files.exists(folder.resolve("found/quantize_config.json")));
  }

  /// What told of the source's GPTQ is not copied to an output that is none, wherever it stood.
  @Test
  void gptqOfOlderToolsBecomesNf4() throws IOException {
    quantize(request(QWEN, "int4:g32").storage(new GptqStorage(1)), "once");
    dequantize(folder.resolve("once"), "plain");
    Files.copy(
        QWEN.resolve("config.json"),
        folder.resolve("once/config.json"),
        StandardCopyOption.REPLACE_EXISTING);
    quantize(request(folder.resolve("plain"), "nf4"), "expected");
    quantize(request(folder.resolve("once"), "nf4").allowRequantize(true), "found");
    assertEqualTensors(folder.resolve("expected"), folder.resolve("found"));
    assertFalse(Files.exists(folder.resolve("found/quantize_config.json")));
  }

  @Test
  void whatIsKeptIsDecoded() throws IOException {
    quantize(request(QWEN, "nf4"), "once");
    ConversionReport report =
        quantize(
            request(folder.resolve("once"), "int8").allowRequantize(true).skip("img_mod"), "twice");
    assertTrue(
        report.plan().notes().stream()
            .anyMatch(note -> note.contains("quantized already, by bitsandbytes (4-bit nf4)")),
        report.plan().notes().toString());
    dequantize(folder.resolve("once"), "plain");
    try (Checkpoint plain = Checkpoints.open(folder.resolve("plain"));
        Checkpoint twice = Checkpoints.open(folder.resolve("twice"))) {
      String name = "transformer_blocks.0.img_mod.1.weight";
      TensorInfo expected = Optional.ofNullable(plain.tensors().get(name)).orElseThrow();
      TensorInfo found = Optional.ofNullable(twice.tensors().get(name)).orElseThrow();
      assertEquals(DType.BF16, found.dtype());
      assertEquals(-1, plain.data(expected).mismatch(twice.data(found)));
      assertFalse(twice.tensors().containsKey(name + ".absmax"));
    }
  }
}
