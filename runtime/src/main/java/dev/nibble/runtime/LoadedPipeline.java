package dev.nibble.runtime;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.io.JsonFile;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.cuda.CudaOptions;
import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.Denoisers;
import dev.nibble.runtime.schedule.FlowMatchEuler;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.text.Tokenizer;
import dev.nibble.runtime.text.qwen3.Qwen3TextEncoder;
import dev.nibble.runtime.vae.AutoencoderKl;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// The models of a pipeline, ready to run. Shared by all requests and never changed; owns mapped
/// files, weights and the backend.
final class LoadedPipeline implements AutoCloseable {
  /// Steps and size of both families' diffusers pipelines.
  private static final int STEPS = 50;

  private static final int SIZE = 1024;

  private final Deque<AutoCloseable> owned = new ArrayDeque<>();
  private final Map<String, ObjectNode> configs = new HashMap<>();
  private final List<RuntimeReport.Component> components;
  private final Backend backend;
  private final Tokenizer tokenizer;
  private final Qwen3TextEncoder textEncoder;
  private final Denoiser denoiser;
  private final AutoencoderKl vae;
  private final FlowMatchEuler scheduler;
  private final GenerationDefaults defaults;

  private LoadedPipeline(
      PipelineDirectory directory,
      PipelineOptions options,
      LoadWatch watch,
      UnaryOperator<Backend> decorator)
      throws IOException {
    try {
      backend = own(decorator.apply(backend(options)));
      scheduler = FlowMatchEuler.open(directory.scheduler());
      tokenizer = own(Tokenizer.open(directory.tokenizer()));
      ComponentWeights text = open("text_encoder", directory.textEncoder());
      ComponentWeights transformer = open("transformer", directory.transformer());
      ComponentWeights autoencoder = open("vae", directory.vae());
      watch.watch(
          List.of("text_encoder", "transformer", "vae"), List.of(text, transformer, autoencoder));
      textEncoder = Qwen3TextEncoder.load(text, config(text, directory, "text_encoder"));
      denoiser = Denoisers.load(transformer, config(transformer, directory, "transformer"));
      vae = AutoencoderKl.both(autoencoder, config(autoencoder, directory, "vae"));
      components =
          List.of(
              describe("text_encoder", text),
              describe("transformer", transformer),
              describe("vae", autoencoder));
      defaults =
          directory.defaults(
              new GenerationDefaults(STEPS, denoiser.guidance().defaultScale(), SIZE, SIZE));
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  static LoadedPipeline open(
      Path path, PipelineOptions options, LoadWatch watch, UnaryOperator<Backend> decorator)
      throws IOException {
    PipelineDirectory directory = PipelineDirectory.find(path, options);
    LoadedPipeline pipeline = new LoadedPipeline(directory, options, watch, decorator);
    try {
      pipeline.checkFit(directory);
      return pipeline;
    } catch (Throwable e) {
      pipeline.close();
      throw e;
    }
  }

  private static Backend backend(PipelineOptions options) {
    return switch (options.device()) {
      case ComputeDevice.Cpu _ ->
          options.threads().isPresent()
              ? new CpuBackend(options.threads().getAsInt())
              : new CpuBackend();
      case ComputeDevice.Cuda(int ordinal) ->
          CudaBackend.open(
              ordinal,
              CudaOptions.DEFAULT.withMemoryLimit(options.deviceMemory().orElse(Long.MAX_VALUE)));
    };
  }

  private <T extends AutoCloseable> T own(T resource) {
    owned.push(resource);
    return resource;
  }

  private ComponentWeights open(String component, Path path) throws IOException {
    return own(ComponentWeights.open(path, backend.newWeights(component)));
  }

  /// The configuration beside the weights; a lone file takes that of the pipeline's own component.
  private ModelConfig config(
      ComponentWeights weights, PipelineDirectory directory, String component) throws IOException {
    Optional<ObjectNode> json = weights.config();
    Path file =
        (json.isPresent() ? ModelConfig.beside(weights.path()) : directory.config(component));
    ObjectNode config = json.isPresent() ? json.get() : JsonFile.object(file);
    configs.put(component, config);
    return new ModelConfig(file, config);
  }

  private static RuntimeReport.Component describe(String name, ComponentWeights weights) {
    return new RuntimeReport.Component(
        name, weights.path().toString(), weights.summary(), weights.byteSize());
  }

  /// Models of different pipelines may each be sound and yet not fit.
  private void checkFit(PipelineDirectory directory) {
    if (textEncoder.features() != denoiser.featureDim()) {
      throw new FormatException(
          Where.in(directory.transformer()),
          "a transformer for text features of width %d, which %s gives"
              .formatted(textEncoder.features(), directory.textEncoder()),
          "one for %d: take text encoder and transformer of one model"
              .formatted(denoiser.featureDim()));
    }
    if (vae.latentChannels() != denoiser.latentChannels()) {
      throw new FormatException(
          Where.in(directory.vae()),
          "an autoencoder of %d latent channels, for %s"
              .formatted(denoiser.latentChannels(), directory.transformer()),
          "one of %d: take autoencoder and transformer of one model"
              .formatted(vae.latentChannels()));
    }
  }

  Backend backend() {
    return backend;
  }

  Tokenizer tokenizer() {
    return tokenizer;
  }

  Qwen3TextEncoder textEncoder() {
    return textEncoder;
  }

  Denoiser denoiser() {
    return denoiser;
  }

  AutoencoderKl vae() {
    return vae;
  }

  FlowMatchEuler scheduler() {
    return scheduler;
  }

  GenerationDefaults defaults() {
    return defaults;
  }

  ObjectNode config(String component) {
    ObjectNode config = configs.get(component);
    if (config == null) {
      throw new IllegalArgumentException("no component '%s'".formatted(component));
    }
    return config.deepCopy();
  }

  /// Each model in memory, in order of use.
  List<RuntimeReport.Component> components() {
    return components;
  }

  /// What width and height of a picture are multiples of: a token's pixels.
  int sizeMultiple() {
    return vae.compression() * denoiser.patch();
  }

  @Override
  public void close() {
    Throwable failure = null;
    while (!owned.isEmpty()) {
      try {
        owned.pop().close();
      } catch (Exception e) {
        failure = e;
      }
    }
    if (failure != null) {
      throw new IllegalStateException("could not close the pipeline", failure);
    }
  }
}
