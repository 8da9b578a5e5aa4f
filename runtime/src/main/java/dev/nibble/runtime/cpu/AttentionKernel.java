package dev.nibble.runtime.cpu;

/// One way to compute attention.
@FunctionalInterface
interface AttentionKernel {
  void run(Machine machine, AttentionCall call);
}
