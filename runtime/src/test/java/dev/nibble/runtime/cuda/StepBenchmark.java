package dev.nibble.runtime.cuda;

import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.Denoiser.Conditioning;
import dev.nibble.runtime.models.Denoisers;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/// One step of Z-Image (6 billion weights, random, NF4 with double quantization) at 1024x1024: 4096
/// picture tokens and 256 of text. Prints the time of a step, and what each operation took when the
/// device is waited for after every one. See PERFORMANCE-ops.md.
public final class StepBenchmark {
  private static final int DIM = 3840;
  private static final int HIDDEN = 10240;
  private static final int TEXT = 2560;
  private static final double TFLOP = 58.54;
  private static final String CONFIG =
      """
      {"_class_name": "ZImageTransformer2DModel", "all_f_patch_size": [1], "all_patch_size": [2],
       "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512], "cap_feat_dim": 2560, "dim": 3840,
       "in_channels": 16, "n_heads": 30, "n_kv_heads": 30, "n_layers": 30, "n_refiner_layers": 2,
       "norm_eps": 1e-05, "qk_norm": true, "rope_theta": 256.0, "t_scale": 1000.0}
      """;

  private StepBenchmark() {}

  /// Arguments: a folder for the checkpoint (3.3 GB), steps to time.
  public static void main(String[] arguments) throws IOException {
    Path folder = Path.of(arguments[0]);
    int steps = Integer.parseInt(arguments[1]);
    long begin = System.nanoTime();
    checkpoint().write(folder, CONFIG);
    print("checkpoint written in %.1f s%n", seconds(begin));
    try (CudaBackend backend = CudaBackend.open(0, CudaOptions.DEFAULT)) {
      print("%s%n", backend.description());
      long free = backend.freeDeviceBytes();
      begin = System.nanoTime();
      try (ComponentWeights weights =
          ComponentWeights.open(folder, backend.newWeights("transformer"))) {
        Denoiser model =
            Denoisers.load(
                weights,
                new ModelConfig(folder.resolve("config.json"), weights.config().orElseThrow()));
        print(
            "loaded in %.2f s, %.2f GB of weights, %.2f GB of the device%n",
            seconds(begin), weights.byteSize() / 1e9, (free - backend.freeDeviceBytes()) / 1e9);
        try (Ops ops = backend.newOps("benchmark")) {
          time(model, ops, steps);
          print("peak: %.2f GB of the device%n", (free - backend.freeDeviceBytes()) / 1e9);
          profile(model, backend, ops);
        }
      }
      print("left: %.3f GB of the device%n", (free - backend.freeDeviceBytes()) / 1e9);
    }
  }

  private static RandomCheckpoint checkpoint() {
    RandomCheckpoint all = new RandomCheckpoint(QuantSchemes.parse("nf4"));
    all.vector("cap_embedder.0.weight", true, TEXT)
        .matrix("cap_embedder.1.weight", DIM, TEXT)
        .vector("cap_embedder.1.bias", false, DIM)
        .vector("cap_pad_token", false, 1, DIM)
        .vector("x_pad_token", false, 1, DIM)
        .matrix("t_embedder.mlp.0.weight", 1024, 256)
        .vector("t_embedder.mlp.0.bias", false, 1024)
        .matrix("t_embedder.mlp.2.weight", 256, 1024)
        .vector("t_embedder.mlp.2.bias", false, 256)
        .matrix("all_x_embedder.2-1.weight", DIM, 64)
        .vector("all_x_embedder.2-1.bias", false, DIM)
        .matrix("all_final_layer.2-1.adaLN_modulation.1.weight", DIM, 256)
        .vector("all_final_layer.2-1.adaLN_modulation.1.bias", false, DIM)
        .matrix("all_final_layer.2-1.linear.weight", 64, DIM)
        .vector("all_final_layer.2-1.linear.bias", false, 64);
    for (int i = 0; i < 2; i++) {
      block(all, "context_refiner." + i, false);
      block(all, "noise_refiner." + i, true);
    }
    for (int i = 0; i < 30; i++) {
      block(all, "layers." + i, true);
    }
    return all;
  }

  private static void block(RandomCheckpoint all, String name, boolean modulated) {
    for (String projection : new String[] {"to_q", "to_k", "to_v", "to_out.0"}) {
      all.matrix(name + ".attention." + projection + ".weight", DIM, DIM);
    }
    all.vector(name + ".attention.norm_q.weight", true, 128)
        .vector(name + ".attention.norm_k.weight", true, 128)
        .matrix(name + ".feed_forward.w1.weight", HIDDEN, DIM)
        .matrix(name + ".feed_forward.w3.weight", HIDDEN, DIM)
        .matrix(name + ".feed_forward.w2.weight", DIM, HIDDEN);
    for (String norm :
        new String[] {"attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"}) {
      all.vector(name + "." + norm + ".weight", true, DIM);
    }
    if (modulated) {
      all.matrix(name + ".adaLN_modulation.0.weight", 4 * DIM, 256)
          .vector(name + ".adaLN_modulation.0.bias", false, 4 * DIM);
    }
  }

  private static void time(Denoiser model, Ops ops, int steps) {
    Conditioning given = condition(model, ops);
    Tensor latents = ops.fromHost(noise(16 * 128 * 128), 1, 16, 128, 128);
    double[] millis = new double[steps];
    double[] issued = new double[steps];
    for (int i = -3; i < steps; i++) {
      try (Region _ = ops.region()) {
        ops.toHost(ops.slice(latents, 3, 0, 1));
        long begin = System.nanoTime();
        Tensor velocity = model.predict(latents, 0.7f, given, TrunkRunner.ALL, ops);
        long afterIssue = System.nanoTime();
        float[] values = ops.toHost(velocity);
        if (i >= 0) {
          millis[i] = 1e3 * seconds(begin);
          issued[i] = (afterIssue - begin) / 1e6;
        } else if (i == -1) {
          print("velocity: norm %.3f, type %s%n", norm(values), velocity.dtype());
        }
      }
    }
    Arrays.sort(millis);
    Arrays.sort(issued);
    double median = millis[steps / 2];
    print(
        "step: median %.2f ms, least %.2f ms, %.0f TFLOP/s; the host issues it in %.2f ms%n",
        median, millis[0], TFLOP / median * 1e3, issued[steps / 2]);
  }

  private static Conditioning condition(Denoiser model, Ops ops) {
    Tensor features = ops.fromHost(noise(256 * TEXT), 256, TEXT);
    return model.condition(List.of(features), 128, 128, ops);
  }

  private static void profile(Denoiser model, CudaBackend backend, Ops ops) {
    OpsProfile profile = new OpsProfile(ops, backend);
    Conditioning given = condition(model, ops);
    Tensor latents = ops.fromHost(noise(16 * 128 * 128), 1, 16, 128, 128);
    for (int i = 0; i < 3; i++) {
      profile.clear();
      try (Region _ = ops.region()) {
        model.predict(latents, 0.7f, given, TrunkRunner.ALL, profile.ops());
      }
    }
    profile.print(24);
  }

  private static float[] noise(int count) {
    Random random = new Random(7);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static double norm(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum);
  }

  private static double seconds(long begin) {
    return (System.nanoTime() - begin) / 1e9;
  }

  @SuppressWarnings("AnnotateFormatMethod") // its annotation would be a dependency more
  private static void print(String format, Object... arguments) {
    System.out.printf(Locale.ROOT, format, arguments);
  }
}
