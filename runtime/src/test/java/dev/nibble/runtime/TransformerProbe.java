package dev.nibble.runtime;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.cuda.CudaOptions;
import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.Denoisers;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/// One call of a transformer of any size, from inputs in a file to the velocity in a file, for
/// scripts that compute the same with another library: see `src/test/bench/zimage_torch.py`.
public final class TransformerProbe {
  private TransformerProbe() {}

  /// Arguments: `cpu` or `cuda`; the transformer's directory; a file with `latents` `[1, C, h, w]`,
  /// `caption` `[T, D]` and `sigma` `[1]` in float32; the file to write `velocity` `[1, C, h, w]`
  /// to.
  public static void main(String[] arguments) throws IOException {
    Path directory = Path.of(arguments[1]);
    TensorFile inputs = TensorFile.read(Path.of(arguments[2]));
    try (Backend backend =
            arguments[0].equals("cuda")
                ? CudaBackend.open(0, CudaOptions.DEFAULT)
                : new CpuBackend();
        ComponentWeights weights =
            ComponentWeights.open(directory, backend.newWeights("transformer"));
        Ops ops = backend.newOps("probe")) {
      ModelConfig config =
          new ModelConfig(ModelConfig.beside(directory), weights.config().orElseThrow());
      Denoiser denoiser = Denoisers.load(weights, config);
      Tensor latents = ops.fromHost(inputs.values("latents"), inputs.shape("latents"));
      Tensor caption = ops.fromHost(inputs.values("caption"), inputs.shape("caption"));
      Denoiser.Conditioning conditioning =
          denoiser.condition(List.of(caption), latents.dim(2), latents.dim(3), ops);
      Tensor velocity =
          denoiser.predict(latents, inputs.values("sigma")[0], conditioning, TrunkRunner.ALL, ops);
      write(Path.of(arguments[3]), velocity.shape(), ops.toHost(velocity));
    }
  }

  private static void write(Path file, Shape shape, float[] values) throws IOException {
    SafetensorsLayout layout =
        SafetensorsLayout.plan(
            List.of(new TensorSpec("velocity", DType.F32, shape)), List.of(), Map.of());
    byte[] bytes = new byte[Math.multiplyExact(4, values.length)];
    MemorySegment.copy(
        values, 0, MemorySegment.ofArray(bytes), LittleEndian.FLOAT, 0, values.length);
    try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout)) {
      writer.write("velocity", 0, MemorySegment.ofArray(bytes));
      writer.finish();
    }
  }
}
