package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.PipelineOptions.Shortage;
import dev.nibble.runtime.cache.StepCaches;
import dev.nibble.runtime.cuda.RequiresGpu;
import dev.nibble.runtime.cuda.cublas.CublasLt;
import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaDriver;
import dev.nibble.runtime.device.OutOfDeviceMemoryException;
import dev.nibble.runtime.image.ImageMetrics;
import dev.nibble.runtime.image.Pictures;
import dev.nibble.runtime.image.RgbImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/// A whole pipeline on a GPU, as a server uses it.
@RequiresGpu
class PipelineGpuTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");
  private static final PipelineOptions GPU =
      PipelineOptions.defaults().withDevice(new ComputeDevice.Cuda(0));

  /// What a weight takes beside itself while it is converted.
  private static final long LOADING_BYTES = 8 << 20;

  private static final List<String> CACHES =
      List.of(
          "none",
          "fbcache:threshold=0.1",
          "dbcache:F=1,B=1,threshold=0.2,taylorseer=1",
          "fora:N=3",
          "teacache:threshold=0.3,coefficients=qwen-image");

  private static GenerationRequest request(int i) throws IOException {
    return GenerationRequest.of("picture " + i)
        .withSteps(4)
        .withSeed(i)
        .withGuidance(i % 3 == 0 ? 1 : 0)
        .withCache(StepCaches.parse(CACHES.get(i % CACHES.size())));
  }

  private static float[] latents(Pipeline pipeline, int i) throws IOException {
    return pipeline.generate(request(i)).images().getFirst().latents().values();
  }

  private static List<float[]> atOnce(Pipeline pipeline, int count)
      throws InterruptedException, ExecutionException {
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<float[]>> futures = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        int index = i;
        futures.add(threads.submit(() -> latents(pipeline, index)));
      }
      List<float[]> results = new ArrayList<>();
      for (Future<float[]> future : futures) {
        results.add(future.get());
      }
      return results;
    }
  }

  @Test
  void hundredRequestsOfEightThreadsEqualThoseOfOneAndLeaveTheDeviceAsItWas()
      throws IOException, InterruptedException, ExecutionException {
    try (CudaDevice device = CudaDriver.open().device(0);
        Pipeline pipeline = Pipeline.open(MODEL, GPU)) {
      atOnce(pipeline, 16); // streams and modules take memory of the driver's own at first use
      long open = pipeline.openBytes();
      long free = device.memory().freeBytes();
      List<float[]> together = atOnce(pipeline, 100);
      for (int i = 0; i < 100; i++) {
        assertArrayEquals(latents(pipeline, i), together.get(i), "request " + i);
      }
      assertEquals(open, pipeline.openBytes());
      assertEquals(free, device.memory().freeBytes());
    }
  }

  @Test
  void closedPipelinesLeaveTheDeviceAsItWas() throws IOException {
    try (CudaDevice device = CudaDriver.open().device(0)) {
      long free = 0;
      for (int i = 0; i < 3; i++) {
        try (Pipeline pipeline = Pipeline.open(MODEL, GPU)) {
          latents(pipeline, i);
        }
        if (i == 0) {
          free = device.memory().freeBytes();
        }
      }
      assertEquals(free, device.memory().freeBytes());
    }
  }

  @Test
  void pictureIsThatOfTheProcessor() throws IOException {
    GenerationRequest request = GenerationRequest.of("red apple").withSeed(1000);
    try (Pipeline gpu = Pipeline.open(MODEL, GPU);
        Pipeline cpu = Pipeline.open(MODEL, PipelineOptions.defaults())) {
      Generation drawn = gpu.generate(request);
      double psnr =
          ImageMetrics.psnr(
              cpu.generate(request).images().getFirst().image(), drawn.images().getFirst().image());
      assertTrue(psnr > 35, "PSNR " + psnr);
      assertTrue(drawn.report().backend().startsWith("cuda:0"), drawn.report().backend());
    }
  }

  @Test
  void requestsThatDoNotFitTogetherWaitForEachOther()
      throws IOException, InterruptedException, ExecutionException {
    long one;
    List<float[]> expected = new ArrayList<>();
    try (Pipeline pipeline = Pipeline.open(MODEL, GPU)) {
      one = enoughForOne(pipeline);
      for (int i = 0; i < 24; i++) {
        expected.add(latents(pipeline, i));
      }
    }
    try (Pipeline pipeline = Pipeline.open(MODEL, GPU.withDeviceMemory(one))) {
      List<float[]> together = atOnce(pipeline, 24);
      for (int i = 0; i < 24; i++) {
        assertArrayEquals(expected.get(i), together.get(i), "request " + i);
      }
    }
  }

  /// Bytes that suffice for the weights and one request, whose two sessions each have a workspace
  /// of the library of products; not for two requests.
  private static long enoughForOne(Pipeline pipeline) {
    return pipeline.openBytes() + 3 * CublasLt.WORKSPACE_BYTES;
  }

  @Test
  void tooSmallADeviceIsToldWithItsNumbers() throws IOException {
    OutOfDeviceMemoryException weights =
        assertThrows(
            OutOfDeviceMemoryException.class,
            () -> Pipeline.open(MODEL, GPU.withDeviceMemory(1 << 20)).close());
    assertTrue(
        String.valueOf(weights.getMessage()).contains("1.0 MiB in use")
            || String.valueOf(weights.getMessage()).contains("of 1.0 MiB"),
        weights.getMessage());
    long open;
    try (Pipeline pipeline = Pipeline.open(MODEL, GPU)) {
      open = pipeline.openBytes();
    }
    for (Shortage shortage : Shortage.values()) {
      PipelineOptions tight = GPU.withDeviceMemory(open + LOADING_BYTES).withShortage(shortage);
      try (Pipeline pipeline = Pipeline.open(MODEL, tight)) {
        assertThrows(OutOfDeviceMemoryException.class, () -> latents(pipeline, 1));
        assertEquals(open, pipeline.openBytes());
      }
    }
  }

  @Test
  void cancelledRequestGivesAllBack() throws IOException {
    try (Pipeline pipeline = Pipeline.open(MODEL, GPU)) {
      long open = pipeline.openBytes();
      Cancellation wish = new Cancellation();
      assertThrows(
          GenerationCancelledException.class,
          () -> pipeline.generate(request(0), _ -> wish.cancel(), wish));
      assertEquals(open, pipeline.openBytes());
      latents(pipeline, 0);
    }
  }

  /// Its encoder's products are of bfloat16: on an H100 nearly equal pictures are 2e-5 farther
  /// apart, unlike ones 5e-4.
  @Test
  void picturesAreAsFarApartAsOnTheCpu() throws IOException {
    try (Pipeline gpu = Pipeline.open(MODEL, GPU)) {
      for (JsonNode pair : Goldens.json("goldens/vae/perceptual.json").get("pairs")) {
        RgbImage first = Pictures.read(MODEL.resolve("reference/" + pair.get("first").asText()));
        RgbImage second = Pictures.read(MODEL.resolve("reference/" + pair.get("second").asText()));
        double expected = pair.get("distance").doubleValue();
        assertEquals(
            expected,
            gpu.perceptualDistance(first, second),
            1e-3 * expected + 5e-5,
            pair.toString());
        assertEquals(0, gpu.perceptualDistance(first, first));
      }
    }
  }
}
