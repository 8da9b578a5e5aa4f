package dev.nibble.tools;

import dev.nibble.converter.ConversionRequest;
import dev.nibble.tools.report.ByteSize;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// How much of the machine a command may use.
@Command
final class MachineOptions {
  @Option(
      names = "--threads",
      order = 30,
      paramLabel = "N",
      description = "Worker threads (default: all processors).")
  private Optional<Integer> threads = Optional.empty();

  @Option(
      names = "--memory",
      order = 31,
      paramLabel = "SIZE",
      description = "Bound on the memory for buffers (default 384M).")
  private ByteSize memory = new ByteSize(ConversionRequest.DEFAULT_MEMORY_BYTES);

  int threads(CommandSpec spec) {
    int count = threads.orElse(Runtime.getRuntime().availableProcessors());
    if (count < 1 || count > 1024) {
      throw new ParameterException(spec.commandLine(), "--threads takes 1 to 1024, not " + count);
    }
    return count;
  }

  long memoryBytes() {
    return memory.bytes();
  }
}
