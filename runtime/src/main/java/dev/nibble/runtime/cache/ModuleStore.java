package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branch;
import dev.nibble.runtime.tensor.Ops;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/// What is remembered of each module of each block: a {@link Forecaster} a stream.
final class ModuleStore {
  private final Supplier<Forecaster> forecasters;
  private final Map<Module, Streams> modules = new HashMap<>();

  private record Module(int block, Branch branch) {}

  private record Streams(Forecaster hidden, Optional<Forecaster> encoder) {}

  ModuleStore(Supplier<Forecaster> forecasters) {
    this.forecasters = forecasters;
  }

  void observe(int step, int block, Branch branch, BlockState output) {
    Streams streams =
        modules.computeIfAbsent(
            new Module(block, branch),
            _ -> new Streams(forecasters.get(), output.encoder().map(_ -> forecasters.get())));
    streams.hidden.observe(step, output.hidden());
    output.encoder().ifPresent(text -> streams.encoder.orElseThrow().observe(step, text));
  }

  /// Empty where the module was never computed.
  Optional<BlockState> predict(int step, int block, Branch branch, Ops ops) {
    return Optional.ofNullable(modules.get(new Module(block, branch)))
        .map(streams ->
            new BlockState(
                streams.hidden.predict(step, ops),
                streams.encoder.map(text -> text.predict(step, ops))));
  }
}
