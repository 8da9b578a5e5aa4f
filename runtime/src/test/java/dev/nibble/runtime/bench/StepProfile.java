package dev.nibble.runtime.bench;

import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.cuda.CudaOptions;
import dev.nibble.runtime.cuda.OpsProfile;
import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// Where the time of the step goes that `nibble bench` measures: what each operation takes when the
/// device is waited for after every one. See PERFORMANCE.md.
public final class StepProfile {
  private static final int LATENT = 128;
  private static final int CAPTION_TOKENS = 256;

  private StepProfile() {}

  /// Prints the operations that take most.
  public static void main(String[] arguments) {
    try (CudaBackend backend = CudaBackend.open(0, CudaOptions.DEFAULT);
        RandomZImage model =
            new RandomZImage(QuantSchemes.parse("nf4"), backend.newWeights("transformer"));
        Ops ops = backend.newOps("profile")) {
      Denoiser denoiser = model.denoiser();
      int width = denoiser.featureDim();
      int channels = denoiser.latentChannels();
      Tensor caption =
          ops.fromHost(DeviceBenchmark.normal(CAPTION_TOKENS * width), CAPTION_TOKENS, width);
      Tensor latents =
          ops.fromHost(
              DeviceBenchmark.normal(channels * LATENT * LATENT), 1, channels, LATENT, LATENT);
      Denoiser.Conditioning given = denoiser.condition(List.of(caption), LATENT, LATENT, ops);
      OpsProfile profile = new OpsProfile(ops, backend);
      for (int i = 0; i < 3; i++) { // the last one counts
        profile.clear();
        try (Region _ = ops.region()) {
          denoiser.predict(latents, 0.7f, given, TrunkRunner.ALL, profile.ops());
        }
      }
      profile.print(24);
    }
  }
}
