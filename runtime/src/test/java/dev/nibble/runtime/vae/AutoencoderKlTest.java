package dev.nibble.runtime.vae;

import static dev.nibble.runtime.Goldens.assertClose;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.io.JsonFile;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.Goldens.Golden;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.schedule.TorchGenerator;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AutoencoderKlTest {
  private static final String FIXTURE = "models/emoji-zimage/vae";
  private static final String TINY = "goldens/vae/tiny";

  private final CpuBackend backend = new CpuBackend();
  private final Ops ops = backend.newOps("test");

  @AfterEach
  void close() {
    ops.close();
    backend.close();
  }

  private ComponentWeights weights(String fixture) throws IOException {
    return ComponentWeights.open(Fixtures.path(fixture), backend.newWeights("vae"));
  }

  private static ModelConfig config(ComponentWeights weights) {
    return new ModelConfig(weights.path(), weights.config().orElseThrow());
  }

  private Tensor tensor(Golden golden) {
    return ops.fromHost(golden.values(), golden.dims());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 3, 5})
  void decodesTheReferencePictures(int prompt) throws IOException {
    var run = Goldens.tensors("models/emoji-zimage/reference/run-g0.safetensors");
    Golden steps = run.get(prompt + ".latents");
    try (var weights = weights(FIXTURE)) {
      var vae = AutoencoderKl.decoder(weights, config(weights));
      Tensor last = tensor(steps).rows(19, 20);
      float[] picture = ops.toHost(ops.permute(vae.decode(last, ops), 0, 3, 1, 2));
      assertClose(run.values(prompt + ".image"), picture, 2e-5, 2e-5, "picture");
    }
  }

  @ParameterizedTest
  @CsvSource({FIXTURE + ", goldens/vae/vae", TINY + ", " + TINY})
  void pictureToLatentsAndBackIsAsInDiffusers(String model, String golden) throws IOException {
    var expected = Goldens.tensors(golden + ".safetensors");
    var noise = new TorchGenerator(5);
    try (var weights = weights(model)) {
      var vae = AutoencoderKl.both(weights, config(weights));
      Tensor picture = ops.permute(tensor(expected.get("picture")), 0, 2, 3, 1);
      Posterior posterior = vae.encode(picture, ops);
      Golden mean = expected.get("mean");
      assertEquals(mean.dims().length, posterior.mean().rank());
      assertClose(mean.values(), ops.toHost(posterior.mean()), 2e-4, 2e-4, "mean");
      assertClose(expected.values("logvar"), ops.toHost(posterior.logvar()), 2e-4, 2e-4, "logvar");
      Tensor drawn = ops.fromHost(noise.normal(mean.values().length), mean.dims());
      Tensor latents = vae.scale(posterior.sample(drawn, ops), ops);
      assertClose(expected.values("latents"), ops.toHost(latents), 2e-4, 2e-4, "latents");
      Tensor decoded = vae.decode(tensor(expected.get("latents")), ops);
      assertClose(
          expected.values("decoded"),
          ops.toHost(ops.permute(decoded, 0, 3, 1, 2)),
          2e-4,
          2e-4,
          "decoded");
    }
  }

  @Test
  void keepsNothingButItsResult() throws IOException {
    try (var weights = weights(TINY);
        Region region = ops.region()) {
      var vae = AutoencoderKl.both(weights, config(weights));
      Tensor picture = ops.fromHost(new float[16 * 8 * 3], 1, 16, 8, 3);
      long before = backend.openBytes();
      Posterior posterior = vae.encode(picture, ops);
      long floats = 2L * posterior.mean().elements();
      Tensor decoded = vae.decode(posterior.mean(), ops);
      assertEquals(4 * (floats + decoded.elements()), backend.openBytes() - before);
      assertEquals(picture.shape(), region.keep(decoded).shape());
    }
  }

  /// The widest activations are 64 channels at full size; without freeing there would be some 20.
  @Test
  void holdsNoMoreThanFourActivations() throws IOException {
    int side = 64;
    long widest = 4L * 64 * side * side;
    try (var weights = weights(FIXTURE)) {
      var vae = AutoencoderKl.decoder(weights, config(weights));
      Tensor latents = ops.fromHost(new float[16 * 8 * 8], 1, 16, 8, 8);
      long before = backend.openBytes();
      var peak = new PeakOps(ops, backend);
      vae.decode(latents, peak.ops());
      assertTrue(peak.bytes() - before <= 4 * widest, () -> peak.bytes() - before + " bytes");
    }
  }

  /// Two pictures at once: the features of both, both at unit length, and their difference; the
  /// widest level has 32 channels at full size.
  @Test
  void comparingHoldsNoMoreThanSixActivations() throws IOException {
    int side = 64;
    long widest = 4L * 32 * side * side;
    try (var weights = weights(FIXTURE)) {
      var vae = AutoencoderKl.both(weights, config(weights));
      Tensor picture = ops.fromHost(new float[3 * side * side], 1, side, side, 3);
      long before = backend.openBytes();
      var peak = new PeakOps(ops, backend);
      vae.perceptualDistance(picture, picture, peak.ops());
      assertTrue(peak.bytes() - before <= 6 * widest, () -> peak.bytes() - before + " bytes");
      assertEquals(before, backend.openBytes());
    }
  }

  @Test
  void wrongShapesAreRefused() throws IOException {
    try (var weights = weights(TINY)) {
      var vae = AutoencoderKl.both(weights, config(weights));
      assertEquals(2, vae.compression());
      Tensor odd = ops.fromHost(new float[7 * 8 * 3], 1, 7, 8, 3);
      var e = assertThrows(IllegalArgumentException.class, () -> vae.encode(odd, ops));
      Goldens.assertSays(e, "multiples of 2", "7");
      var other = assertThrows(IllegalArgumentException.class, () -> vae.decode(odd, ops));
      Goldens.assertSays(other, "[1, 4, h, w]");
      var half = AutoencoderKl.decoder(weights, config(weights));
      Tensor even = ops.fromHost(new float[8 * 8 * 3], 1, 8, 8, 3);
      assertThrows(IllegalStateException.class, () -> half.encode(even, ops));
      assertThrows(IllegalStateException.class, () -> half.perceptualDistance(even, even, ops));
    }
  }

  private static AutoencoderKlConfig configured(Consumer<ObjectNode> change) throws IOException {
    Path file = Fixtures.path(TINY).resolve("config.json");
    ObjectNode json = JsonFile.object(file);
    change.accept(json);
    return AutoencoderKlConfig.of(new ModelConfig(file, json));
  }

  @Test
  void otherAutoencodersAreRefused() {
    var e =
        assertThrows(
            UnsupportedException.class,
            () -> configured(json -> json.put("_class_name", "AutoencoderKLQwenImage")));
    Goldens.assertSays(e, "config.json", "AutoencoderKLQwenImage", "AutoencoderKL");
    assertThrows(UnsupportedException.class, () -> configured(json -> json.put("act_fn", "relu")));
    assertThrows(UnsupportedException.class, () -> configured(json -> json.put("out_channels", 4)));
    assertThrows(
        UnsupportedException.class,
        () -> configured(json -> json.putArray("latents_mean").add(0.5)));
    assertThrows(
        UnsupportedException.class,
        () -> configured(json -> json.putArray("up_block_types").add("AttnUpDecoderBlock2D")));
  }

  @Test
  void missingAndWrongKeysAreNamed() {
    var e =
        assertThrows(
            FormatException.class, () -> configured(json -> json.remove("block_out_channels")));
    Goldens.assertSays(e, "config.json", "block_out_channels");
    var groups =
        assertThrows(
            FormatException.class, () -> configured(json -> json.put("norm_num_groups", 3)));
    Goldens.assertSays(groups, "config.json", "norm_num_groups");
  }

  @Test
  void absentKeysHaveDiffusersDefaults() throws IOException {
    AutoencoderKlConfig config =
        configured(json -> json.remove(List.of("use_quant_conv", "scaling_factor")));
    assertTrue(config.quantConv());
    assertEquals(0.18215f, config.scalingFactor());
  }
}
