package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;
import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.WeightStore;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/// Computes on the processor in float32. Its threads sleep while nothing is computed.
///
/// Of the implementations of attention it has `native` (an online softmax) and `_native_math`.
public final class CpuBackend implements Backend {
  private static final System.Logger LOG = System.getLogger(CpuBackend.class.getName());

  private final AtomicLong openBytes = new AtomicLong();
  private final Kernels kernels;
  private final BufferPool buffers = new BufferPool();
  private final WorkerPool workers;
  private final Set<AttentionBackend> missed = EnumSet.noneOf(AttentionBackend.class);

  /// With a thread for each processor.
  public CpuBackend() {
    this(Runtime.getRuntime().availableProcessors());
  }

  /// @param threads that work on one operation, the session's own included; results do not depend
  ///   on it
  public CpuBackend(int threads) {
    this(threads, Kernels.best());
  }

  CpuBackend(int threads, Kernels kernels) {
    if (threads < 1) {
      throw new IllegalArgumentException("%d threads; at least 1 computes".formatted(threads));
    }
    this.kernels = kernels;
    workers = new WorkerPool(threads);
  }

  @Override
  public String description() {
    return "CPU, " + workers.threads() + " threads";
  }

  @Override
  public WeightStore newWeights(String owner) {
    return new CpuWeightStore(openBytes);
  }

  @Override
  public Ops newOps(String owner, AttentionBackend attention) {
    return new CpuOps(
        new Machine(kernels, workers, buffers, new Scratch()),
        new SessionMemory(owner, buffers, openBytes),
        attentionKernel(attention));
  }

  private AttentionKernel attentionKernel(AttentionBackend wish) {
    return switch (wish) {
      case NATIVE -> new OnlineAttention();
      case NATIVE_MATH -> new MathAttention();
      default -> {
        warnOnce(wish);
        yield new OnlineAttention();
      }
    };
  }

  private void warnOnce(AttentionBackend missing) {
    boolean isNew;
    synchronized (missed) {
      isNew = missed.add(missing);
    }
    if (isNew) {
      LOG.log(
          System.Logger.Level.WARNING,
          "attention backend {0} needs {1}; using native",
          missing.id(),
          missing.requirement());
    }
  }

  @Override
  public long openBytes() {
    return openBytes.get();
  }

  /// What the heap may still grow to.
  @Override
  public long freeBytes() {
    Runtime java = Runtime.getRuntime();
    return java.maxMemory() - java.totalMemory() + java.freeMemory();
  }

  @Override
  public void close() {
    workers.close();
    buffers.drop();
  }
}
