package dev.nibble.runtime.cuda.cublas;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.device.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Optional;

/// NVIDIA's cuBLASLt on one device. Thread-safe: a call holds a lock for the microseconds of its
/// launch. Closed before the device.
///
/// Source: cuBLAS documentation, "Using the cuBLASLt API"; `cublasLt.h` of CUDA 12 and 13.
public final class CublasLt implements AutoCloseable {
  /// Scratch memory that a product may need, one for each stream that products run in. What NVIDIA
  /// recommends for Hopper, twice.
  public static final long WORKSPACE_BYTES = 64L << 20;

  /// Shapes whose algorithm is remembered: a server meets new ones with every prompt's length.
  private static final int PLANS = 512;

  private static final int MOST_ALIGNED = 256;

  private final CudaDevice device;
  private final LtFunctions functions;
  private final long handle;
  private final Arena constants = Arena.ofShared();
  private final MemorySegment one = constants.allocateFrom(JAVA_FLOAT, 1f);
  private final MemorySegment zero = constants.allocateFrom(JAVA_FLOAT, 0f);
  private final MemorySegment biasAddress = constants.allocate(JAVA_LONG);
  private final LinkedHashMap<Key, Optional<Plan>> plans = new LinkedHashMap<>(16, 0.75f, true);
  private boolean closed;

  private record Key(Multiplication product, long alignment) {}

  private CublasLt(CudaDevice device, LtFunctions functions) {
    this.device = device;
    this.functions = functions;
    device.makeCurrent();
    handle = functions.create();
  }

  /// Opens the library, if it is installed: by the path in the system property `nibble.cublaslt` or
  /// the environment's `NIBBLE_CUBLASLT`, else by its name of CUDA 13 or 12.
  ///
  /// @throws DeviceException if one was found, or named, that does not work
  public static Optional<CublasLt> open(CudaDevice device) {
    return LtFunctions.find().map(functions -> new CublasLt(device, functions));
  }

  /// The library's version, such as `13.1.0`.
  public String version() {
    long number = functions.version();
    return "%d.%d.%d".formatted(number / 10_000, number % 10_000 / 100, number % 100);
  }

  /// Computes `C = A·Bᵀ (+ bias)`.
  ///
  /// @param a device address of A
  /// @param b device address of B
  /// @param c device address of C
  /// @param bias device address of the bias; not looked at where the product has none
  /// @param workspace device address of {@link #WORKSPACE_BYTES}, used by this stream alone
  /// @return whether the library can: if not, nothing was computed
  /// @throws DeviceException if the library fails
  public boolean multiply(
      CudaStream stream, Product product, long a, long b, long c, long bias, long workspace) {
    return run(stream, product, zero, a, b, c, product.biased() ? bias : 0, workspace);
  }

  /// Computes `C += Aᵀ·B`, A and B being columns of one matrix X.
  ///
  /// @param a device address of A's first element
  /// @param b device address of B's first element
  /// @param c device address of C
  /// @param workspace as for {@link #multiply}
  /// @return whether the library can: if not, nothing was computed
  /// @throws DeviceException if the library fails
  public boolean addGram(
      CudaStream stream, GramProduct product, long a, long b, long c, long workspace) {
    return run(stream, product, one, a, b, c, 0, workspace);
  }

  /// @param bias 0 for none
  private boolean run(
      CudaStream stream,
      Multiplication product,
      MemorySegment beta,
      long a,
      long b,
      long c,
      long bias,
      long workspace) {
    Key key = new Key(product, Long.lowestOneBit(a | b | c | bias | MOST_ALIGNED));
    long queue = stream.handle();
    device.makeCurrent();
    int status;
    synchronized (plans) {
      if (closed) {
        throw new IllegalStateException("cuBLASLt was closed");
      }
      Optional<Plan> chosen = plan(key);
      if (chosen.isEmpty()) {
        return false;
      }
      Plan plan = chosen.get();
      if (bias != 0) {
        biasAddress.set(JAVA_LONG, 0, bias);
        plan.setBias(biasAddress);
      }
      // Column-major, B is its first operand and C its transpose.
      status =
          functions.matmul(
              handle,
              plan.descriptor(),
              one,
              b,
              plan.bLayout(),
              a,
              plan.aLayout(),
              beta,
              c,
              plan.cLayout(),
              plan.algorithm(),
              workspace,
              WORKSPACE_BYTES,
              queue);
    }
    if (status == LtFunctions.NOT_SUPPORTED) { // algorithms promise some odd alignments in vain
      return false;
    }
    LtFunctions.check(status, product.toString());
    return true;
  }

  private Optional<Plan> plan(Key key) {
    Optional<Plan> known = plans.get(key);
    if (known != null) {
      return known;
    }
    Optional<Plan> plan = Plan.choose(functions, handle, key.product(), key.alignment());
    plans.put(key, plan);
    if (plans.size() > PLANS) {
      plans.pollFirstEntry().getValue().ifPresent(Plan::close);
    }
    return plan;
  }

  @Override
  public void close() {
    device.makeCurrent();
    synchronized (plans) {
      if (closed) {
        return;
      }
      closed = true;
      plans.values().forEach(plan -> plan.ifPresent(Plan::close));
      plans.clear();
    }
    functions.destroy(handle);
    constants.close();
  }
}
