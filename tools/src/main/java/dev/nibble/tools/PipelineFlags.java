package dev.nibble.tools;

import dev.nibble.runtime.ComputeDevice;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.tools.report.ByteSize;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// The options of commands that open a pipeline: which parts take the place of its own, and how
/// much of the machine it may use.
@Command
final class PipelineFlags {
  @Option(
      names = "--transformer",
      order = 26,
      paramLabel = "DIR",
      description = "A directory or file to take the place of the pipeline's transformer.")
  private Optional<Path> transformer = Optional.empty();

  @Option(
      names = "--vae",
      order = 27,
      paramLabel = "DIR",
      description = "The same for its autoencoder.")
  private Optional<Path> vae = Optional.empty();

  @Option(
      names = "--text-encoder",
      order = 28,
      paramLabel = "DIR",
      description = "The same for its text encoder.")
  private Optional<Path> textEncoder = Optional.empty();

  @Option(
      names = "--device",
      order = 29,
      paramLabel = "D",
      description = "Where to compute: cpu (default), cuda or cuda:N.")
  private ComputeDevice device = new ComputeDevice.Cpu();

  @Option(
      names = "--device-memory",
      order = 29,
      paramLabel = "SIZE",
      description = "Most memory to use of a cuda device (default: all that is free).")
  private Optional<ByteSize> deviceMemory = Optional.empty();

  @Option(
      names = "--threads",
      order = 30,
      paramLabel = "N",
      description = "Threads that compute on the cpu (default: all processors).")
  private Optional<Integer> threads = Optional.empty();

  /// How to open the pipeline.
  ///
  /// @throws ParameterException naming an option that can't be so
  PipelineOptions options(CommandSpec spec) {
    int count = threads.orElse(1);
    if (count < 1 || count > 1024) {
      throw new ParameterException(spec.commandLine(), "--threads takes 1 to 1024, not " + count);
    }
    if (deviceMemory.isPresent() && device instanceof ComputeDevice.Cpu) {
      throw new ParameterException(
          spec.commandLine(), "--device-memory bounds a GPU's memory: give --device cuda too");
    }
    PipelineOptions options = PipelineOptions.defaults().withDevice(device);
    if (deviceMemory.isPresent()) {
      options = options.withDeviceMemory(deviceMemory.get().bytes());
    }
    if (transformer.isPresent()) {
      options = options.withTransformer(transformer.get());
    }
    if (vae.isPresent()) {
      options = options.withVae(vae.get());
    }
    if (textEncoder.isPresent()) {
      options = options.withTextEncoder(textEncoder.get());
    }
    return threads.isPresent() ? options.withThreads(count) : options;
  }
}
