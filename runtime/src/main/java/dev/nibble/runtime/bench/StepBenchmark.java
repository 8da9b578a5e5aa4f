package dev.nibble.runtime.bench;

import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.bench.DeviceBenchmark.Sheet;
import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.models.Denoiser.Conditioning;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/// One denoising step of Z-Image at 1024x1024, as a pipeline runs it: the time that a caller waits.
final class StepBenchmark {
  private static final int LATENT = 128; // 1024 pixels
  private static final int IMAGE_TOKENS = LATENT / 2 * (LATENT / 2);
  private static final int CAPTION_TOKENS = 256;
  private static final int WARM_STEPS = 5;
  private static final int STEPS = 11;

  private final CudaBackend backend;

  StepBenchmark(CudaBackend backend) {
    this.backend = backend;
  }

  void run(Sheet sheet) {
    try (RandomZImage model =
            new RandomZImage(QuantSchemes.parse("nf4"), backend.newWeights("transformer"));
        Ops ops = backend.newOps("step")) {
      int width = model.denoiser().featureDim();
      int channels = model.denoiser().latentChannels();
      Tensor caption =
          ops.fromHost(DeviceBenchmark.normal(CAPTION_TOKENS * width), CAPTION_TOKENS, width);
      Tensor latents =
          ops.fromHost(
              DeviceBenchmark.normal(channels * LATENT * LATENT), 1, channels, LATENT, LATENT);
      Conditioning conditioning = model.denoiser().condition(List.of(caption), LATENT, LATENT, ops);
      double[] micros = new double[STEPS];
      for (int i = -WARM_STEPS; i < STEPS; i++) {
        long begin = System.nanoTime();
        try (Region _ = ops.region()) {
          Tensor velocity =
              model
                  .denoiser()
                  .predict(latents, 1 - (i + WARM_STEPS) / 20f, conditioning, TrunkRunner.ALL, ops);
          requireFinite(ops.meanAbs(velocity)); // waits for the device
        }
        if (i >= 0) {
          micros[i] = (System.nanoTime() - begin) / 1e3;
        }
      }
      Arrays.sort(micros);
      sheet.computing(
          "step of Z-Image nf4 1024x1024",
          micros[STEPS / 2],
          RandomZImage.flops(IMAGE_TOKENS, CAPTION_TOKENS));
    }
  }

  private static void requireFinite(float mean) {
    if (!Float.isFinite(mean)) {
      throw new AssertionError("the step's result is " + mean);
    }
  }
}
