package dev.nibble.runtime;

import dev.nibble.runtime.cuda.RequiresGpu;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@RequiresGpu
class BranchedPictureGpuTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"nf4+svd8", "int4:g64+svd4", "nf4+scale"})
  void drawsWhatTheDequantizedModelDrawsOnTheProcessor(String id) throws IOException {
    BranchedPictureTest.check(
        folder, id, PipelineOptions.defaults().withDevice(new ComputeDevice.Cuda(0)), 30);
  }
}
