package dev.nibble.runtime;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/// How to open a pipeline.
///
/// @param transformer directory or file to take the place of the pipeline's own transformer
/// @param vae directory or file to take the place of the pipeline's own autoencoder
/// @param textEncoder directory or file to take the place of the pipeline's own text encoder
/// @param device where it computes
/// @param threads threads that compute on the processor; all processors if empty
/// @param deviceMemory most bytes of a GPU's memory that weights and requests may hold together;
///   all there is if empty
/// @param shortage what happens to a request that finds no memory beside others
public record PipelineOptions(
    Optional<Path> transformer,
    Optional<Path> vae,
    Optional<Path> textEncoder,
    ComputeDevice device,
    OptionalInt threads,
    OptionalLong deviceMemory,
    Shortage shortage) {
  /// What to do with a request that does not fit into a device's memory beside those that run.
  public enum Shortage {
    /// It waits until others are done, then begins again. It fails only if it does not fit alone.
    QUEUE,
    /// It fails at once, by {@link dev.nibble.runtime.device.OutOfDeviceMemoryException}.
    REFUSE
  }

  /// The pipeline as its directory has it, on all processors.
  public static PipelineOptions defaults() {
    return new PipelineOptions(
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        new ComputeDevice.Cpu(),
        OptionalInt.empty(),
        OptionalLong.empty(),
        Shortage.QUEUE);
  }

  /// These options with another transformer.
  public PipelineOptions withTransformer(Path path) {
    return new PipelineOptions(
        Optional.of(path), vae, textEncoder, device, threads, deviceMemory, shortage);
  }

  /// These options with another autoencoder.
  public PipelineOptions withVae(Path path) {
    return new PipelineOptions(
        transformer, Optional.of(path), textEncoder, device, threads, deviceMemory, shortage);
  }

  /// These options with another text encoder.
  public PipelineOptions withTextEncoder(Path path) {
    return new PipelineOptions(
        transformer, vae, Optional.of(path), device, threads, deviceMemory, shortage);
  }

  /// These options on a device.
  public PipelineOptions withDevice(ComputeDevice other) {
    return new PipelineOptions(
        transformer, vae, textEncoder, other, threads, deviceMemory, shortage);
  }

  /// These options with a number of threads.
  public PipelineOptions withThreads(int count) {
    return new PipelineOptions(
        transformer, vae, textEncoder, device, OptionalInt.of(count), deviceMemory, shortage);
  }

  /// These options with a limit of a GPU's memory.
  public PipelineOptions withDeviceMemory(long bytes) {
    return new PipelineOptions(
        transformer, vae, textEncoder, device, threads, OptionalLong.of(bytes), shortage);
  }

  /// These options with another way through a shortage.
  public PipelineOptions withShortage(Shortage other) {
    return new PipelineOptions(transformer, vae, textEncoder, device, threads, deviceMemory, other);
  }
}
