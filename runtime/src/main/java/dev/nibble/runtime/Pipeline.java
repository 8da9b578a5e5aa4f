package dev.nibble.runtime;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.runtime.image.RgbImage;
import dev.nibble.runtime.schedule.Schedule;
import dev.nibble.runtime.schedule.TorchGenerator;
import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;

/// A text-to-image pipeline, opened from a diffusers directory whose components may be dense or
/// quantized. Thread-safe: any number of threads may generate at once; each request has sessions of
/// its own. Holds mapped files and threads until closed.
///
/// ```java
/// try (Pipeline pipeline = Pipeline.open(Path.of("emoji-zimage"), PipelineOptions.defaults())) {
///   Generation drawn = pipeline.generate(GenerationRequest.of("red apple").withSeed(7));
///   GeneratedImage picture = drawn.images().getFirst();
///   Png.write(Path.of("apple.png"), picture.image(), picture.parameters(), false);
/// }
/// ```
public final class Pipeline implements AutoCloseable {
  private final LoadedPipeline loaded;
  private final Admission admission;
  private volatile AttentionBackend attention = AttentionBackend.NATIVE;

  private Pipeline(LoadedPipeline loaded, PipelineOptions options) {
    this.loaded = loaded;
    this.admission = new Admission(options.shortage());
  }

  /// Opens a directory with a `model_index.json`.
  ///
  /// @throws dev.nibble.formats.FormatException if a file is damaged, missing or of another model:
  ///   names it and what to do
  /// @throws dev.nibble.formats.UnsupportedException if the pipeline is of a kind that nibble
  ///   doesn't run
  /// @throws dev.nibble.runtime.device.DeviceException if the device that the options name is
  ///   missing, can't run nibble's kernels, or has too little memory
  /// @throws IOException if a file can't be read; the message names it
  public static Pipeline open(Path directory, PipelineOptions options) throws IOException {
    return open(directory, options, LoadListener.NONE, new Cancellation());
  }

  /// Opens a directory, as {@link #open(Path, PipelineOptions)} does, with a word on the way.
  ///
  /// @param listener told of each weight
  /// @param cancellation may end it early; nothing is left open then
  /// @throws GenerationCancelledException if it was cancelled, or the thread was interrupted
  public static Pipeline open(
      Path directory, PipelineOptions options, LoadListener listener, Cancellation cancellation)
      throws IOException {
    return open(directory, options, listener, cancellation, UnaryOperator.identity());
  }

  /// Opens a directory on a backend that something stands before, such as a {@link
  /// dev.nibble.runtime.calibration.CalibrationRecorder}, which so sees what is loaded and
  /// computed.
  ///
  /// @param decorator makes the backend that is used of the one that the options name; what it
  ///   makes closes that one when it closes
  public static Pipeline open(
      Path directory,
      PipelineOptions options,
      LoadListener listener,
      Cancellation cancellation,
      UnaryOperator<Backend> decorator)
      throws IOException {
    LoadWatch watch = new LoadWatch(listener, cancellation);
    return new Pipeline(LoadedPipeline.open(directory, options, watch, decorator), options);
  }

  /// What a request that names nothing else gets.
  public GenerationDefaults defaults() {
    return loaded.defaults();
  }

  /// Each model in memory, in order of use.
  public List<RuntimeReport.Component> components() {
    return loaded.components();
  }

  /// The configuration of a component, as its `config.json` has it.
  ///
  /// @param component `text_encoder`, `transformer` or `vae`
  /// @throws IllegalArgumentException for any other name
  public ObjectNode config(String component) {
    return loaded.config(component);
  }

  /// What computes, in a line.
  public String device() {
    return loaded.backend().description();
  }

  /// Bytes of working memory in use: weights that were copied, and running sessions. Mapped files
  /// do not count. Between requests it is always the same.
  public long openBytes() {
    return loaded.backend().openBytes();
  }

  /// Chooses the implementation of attention by diffusers' name for it, for requests that begin
  /// from now on. One that this machine doesn't have is logged, with the reason, and `native` takes
  /// its place.
  ///
  /// @throws IllegalArgumentException for an unknown name; the message lists the names
  public void setAttentionBackend(String name) {
    attention = AttentionBackend.of(name);
  }

  /// Goes back to `native`.
  public void resetAttentionBackend() {
    attention = AttentionBackend.NATIVE;
  }

  /// Draws the pictures of a request.
  public Generation generate(GenerationRequest request) {
    return generate(request, StepListener.NONE, new Cancellation());
  }

  /// Draws the pictures of a request, one after the other.
  ///
  /// @param listener told of each step; of steps from the first on again if the device's memory ran
  ///   out and the request began anew
  /// @param cancellation may end it early
  /// @throws IllegalArgumentException if the request can't be met: the message says why
  /// @throws GenerationCancelledException if it was cancelled, or the thread was interrupted
  /// @throws dev.nibble.runtime.device.OutOfDeviceMemoryException if the device's memory does not
  ///   suffice; see {@link PipelineOptions.Shortage}
  public Generation generate(
      GenerationRequest request, StepListener listener, Cancellation cancellation) {
    ResolvedRequest plan = ResolvedRequest.of(request, loaded);
    return admission.run(() -> draw(plan, listener, cancellation), cancellation);
  }

  /// How far two pictures are apart for this pipeline's autoencoder, `vae-lpips` in reports: the
  /// distance of its encoder's features at each resolution, in the manner of LPIPS (Zhang et al.,
  /// arXiv:1801.03924) with uniform weights. 0 for equal pictures, at most 4; it orders pictures of
  /// one pipeline by damage, and is neither LPIPS itself nor on its scale: that has another network
  /// and weights learned from people's answers.
  ///
  /// @throws IllegalArgumentException if the sizes differ, or are no multiples of what the
  ///   autoencoder compresses by (8 pixels a side in all known models)
  /// @throws dev.nibble.runtime.device.OutOfDeviceMemoryException if the device's memory does not
  ///   suffice
  public double perceptualDistance(RgbImage first, RgbImage second) {
    return admission.run(
        () -> {
          try (Ops ops = loaded.backend().newOps("perceptual distance")) {
            return loaded.vae().perceptualDistance(pixels(first, ops), pixels(second, ops), ops);
          }
        },
        new Cancellation());
  }

  private static Tensor pixels(RgbImage image, Ops ops) {
    return ops.fromHost(Pixels.toFloats(image), 1, image.height(), image.width(), 3);
  }

  private Generation draw(ResolvedRequest plan, StepListener listener, Cancellation cancellation) {
    GenerationRequest request = plan.request();
    AttentionBackend chosen = attention;
    Schedule schedule = schedule(plan);
    TorchGenerator generator = new TorchGenerator(request.seed());
    long begin = System.nanoTime();
    try (Prompts prompts = Prompts.encode(loaded, plan, chosen)) {
      long textNanos = System.nanoTime() - begin;
      // The posterior's noise is drawn before that of the pictures, as the peer draws it.
      float[] posterior = generator.normal(request.initial().isPresent() ? latentSize(plan) : 0);
      float[] noise = generator.normal(Math.multiplyExact(request.count(), latentSize(plan)));
      List<GeneratedImage> images = new ArrayList<>();
      List<RuntimeReport.Image> reports = new ArrayList<>();
      for (int i = 0; i < request.count(); i++) {
        int size = latentSize(plan);
        float[] own = Arrays.copyOfRange(noise, i * size, (i + 1) * size);
        try (Session session = new Session(loaded, plan, prompts, schedule, chosen, i)) {
          Tensor start = start(plan, schedule, own, posterior, session.ops());
          long denoising = System.nanoTime();
          Tensor latents = session.denoise(start, listener, cancellation);
          long decoding = System.nanoTime();
          images.add(picture(latents, i, plan, session.ops()));
          reports.add(
              new RuntimeReport.Image(
                  decoding - denoising, System.nanoTime() - decoding, session.steps()));
        }
      }
      return new Generation(
          images,
          new RuntimeReport(
              loaded.backend().description(),
              loaded.components(),
              request.cache().spec(),
              textNanos,
              reports));
    }
  }

  private Schedule schedule(ResolvedRequest plan) {
    int multiple = loaded.sizeMultiple();
    int tokens = (plan.height() / multiple) * (plan.width() / multiple);
    Schedule all = loaded.scheduler().schedule(plan.steps(), tokens);
    return plan.request().initial().map(initial -> all.from(initial.strength())).orElse(all);
  }

  private long[] latentShape(ResolvedRequest plan) {
    int compression = loaded.vae().compression();
    return new long[] {
      1, loaded.denoiser().latentChannels(), plan.height() / compression, plan.width() / compression
    };
  }

  private int latentSize(ResolvedRequest plan) {
    return Math.toIntExact(Arrays.stream(latentShape(plan)).reduce(1, Math::multiplyExact));
  }

  private Tensor start(
      ResolvedRequest plan, Schedule schedule, float[] noise, float[] posterior, Ops ops) {
    Tensor fresh = ops.fromHost(noise, latentShape(plan));
    if (plan.request().initial().isEmpty()) {
      return fresh;
    }
    RgbImage image = plan.request().initial().get().image();
    try (Region region = ops.region()) {
      Tensor sample =
          loaded
              .vae()
              .encode(pixels(image, ops), ops)
              .sample(ops.fromHost(posterior, latentShape(plan)), ops);
      return region.keep(schedule.addNoise(loaded.vae().scale(sample, ops), fresh, ops));
    }
  }

  private GeneratedImage picture(Tensor latents, int index, ResolvedRequest plan, Ops ops) {
    Tensor pixels = loaded.vae().decode(latents, ops);
    return new GeneratedImage(
        Pixels.toImage(ops.toHost(pixels), plan.width(), plan.height()),
        index,
        new Latents(latents.shape(), ops.toHost(latents)),
        parameters(plan, index));
  }

  private SequencedMap<String, String> parameters(ResolvedRequest plan, int index) {
    GenerationRequest request = plan.request();
    SequencedMap<String, String> parameters = new LinkedHashMap<>();
    parameters.put("prompt", request.prompt());
    if (plan.guided()) {
      parameters.put("negative", request.negative().orElse(""));
    }
    parameters.put("seed", Long.toString(request.seed()));
    if (request.count() > 1) {
      parameters.put("image", "%d of %d".formatted(index, request.count()));
    }
    parameters.put("steps", Integer.toString(plan.steps()));
    parameters.put("guidance", Double.toString(plan.guidance().scale()));
    if (plan.guidance().normalization() != 0 || plan.guidance().truncation() != 1) {
      parameters.put("guidance_normalization", Double.toString(plan.guidance().normalization()));
      parameters.put("guidance_truncation", Double.toString(plan.guidance().truncation()));
    }
    parameters.put("size", plan.width() + "x" + plan.height());
    request
        .initial()
        .ifPresent(initial -> parameters.put("strength", Double.toString(initial.strength())));
    parameters.put("cache", request.cache().spec());
    for (RuntimeReport.Component component : loaded.components()) {
      parameters.put(
          component.name(),
          "%s (%s)".formatted(Path.of(component.path()).getFileName(), component.weights()));
    }
    return parameters;
  }

  /// Frees all that the pipeline holds; call when no generation runs.
  @Override
  public void close() {
    loaded.close();
  }
}
