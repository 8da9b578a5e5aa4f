package dev.nibble.runtime.cuda;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.vae.AutoencoderKl;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/// Decoding a picture of 1024x1024 with the autoencoder of FLUX and Z-Image (random weights).
/// Prints its time, its memory, and what each operation took. See PERFORMANCE-ops.md.
public final class VaeBenchmark {
  private static final String CONFIG =
      """
      {"_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [128, 256, 512, 512],
       "in_channels": 3, "latent_channels": 16, "layers_per_block": 2, "norm_num_groups": 32,
       "out_channels": 3, "scaling_factor": 0.3611, "shift_factor": 0.1159, "use_quant_conv": false,
       "use_post_quant_conv": false}
      """;

  private VaeBenchmark() {}

  /// Arguments: a folder for the checkpoint (0.2 GB), pictures to time.
  public static void main(String[] arguments) throws IOException {
    Path folder = Path.of(arguments[0]);
    int pictures = Integer.parseInt(arguments[1]);
    decoder().write(folder, CONFIG);
    try (CudaBackend backend = CudaBackend.open(0, CudaOptions.DEFAULT);
        ComponentWeights weights = ComponentWeights.open(folder, backend.newWeights("vae"))) {
      AutoencoderKl vae =
          AutoencoderKl.decoder(
              weights,
              new ModelConfig(folder.resolve("config.json"), weights.config().orElseThrow()));
      long free = backend.freeDeviceBytes();
      try (Ops ops = backend.newOps("benchmark")) {
        double[] millis = new double[pictures];
        for (int i = -2; i < pictures; i++) {
          double time = decode(vae, ops, ops, backend);
          if (i >= 0) {
            millis[i] = time;
          }
        }
        Arrays.sort(millis);
        System.out.printf(
            Locale.ROOT,
            "decoding 1024x1024: median %.2f ms, least %.2f ms, %.2f GB of the device%n",
            millis[pictures / 2],
            millis[0],
            (free - backend.freeDeviceBytes()) / 1e9);
        OpsProfile profile = new OpsProfile(ops, backend);
        decode(vae, profile.ops(), ops, backend);
        profile.print(24);
      }
    }
  }

  private static double decode(AutoencoderKl vae, Ops watched, Ops ops, CudaBackend backend) {
    float[] noise = new float[16 * 128 * 128];
    for (int i = 0; i < noise.length; i++) {
      noise[i] = (float) Math.sin(i * 12.9898);
    }
    try (Region _ = ops.region()) {
      Tensor latents = ops.fromHost(noise, 1, 16, 128, 128);
      backend.synchronize();
      long begin = System.nanoTime();
      vae.decode(latents, watched);
      backend.synchronize();
      return (System.nanoTime() - begin) / 1e6;
    }
  }

  private static RandomCheckpoint decoder() {
    RandomCheckpoint all = new RandomCheckpoint();
    convolution(all, "decoder.conv_in", 512, 16, 3);
    resnet(all, "decoder.mid_block.resnets.0", 512, 512);
    norm(all, "decoder.mid_block.attentions.0.group_norm", 512);
    for (String projection : new String[] {"to_q", "to_k", "to_v", "to_out.0"}) {
      String name = "decoder.mid_block.attentions.0." + projection;
      all.vector(name + ".weight", false, 512, 512).vector(name + ".bias", false, 512);
    }
    resnet(all, "decoder.mid_block.resnets.1", 512, 512);
    int[] widths = {512, 512, 256, 128};
    int in = 512;
    for (int level = 0; level < 4; level++) {
      String block = "decoder.up_blocks." + level;
      for (int i = 0; i < 3; i++) {
        resnet(all, block + ".resnets." + i, widths[level], i == 0 ? in : widths[level]);
      }
      in = widths[level];
      if (level < 3) {
        convolution(all, block + ".upsamplers.0.conv", in, in, 3);
      }
    }
    norm(all, "decoder.conv_norm_out", 128);
    convolution(all, "decoder.conv_out", 3, 128, 3);
    return all;
  }

  private static void resnet(RandomCheckpoint all, String name, int out, int in) {
    norm(all, name + ".norm1", in);
    convolution(all, name + ".conv1", out, in, 3);
    norm(all, name + ".norm2", out);
    convolution(all, name + ".conv2", out, out, 3);
    if (in != out) {
      convolution(all, name + ".conv_shortcut", out, in, 1);
    }
  }

  private static void norm(RandomCheckpoint all, String name, int channels) {
    all.vector(name + ".weight", true, channels).vector(name + ".bias", false, channels);
  }

  private static void convolution(RandomCheckpoint all, String name, int out, int in, int kernel) {
    all.vector(name + ".weight", false, out, in, kernel, kernel).vector(name + ".bias", false, out);
  }
}
