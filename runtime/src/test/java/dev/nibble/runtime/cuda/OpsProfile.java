package dev.nibble.runtime.cuda;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Comparator;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/// Time by operation and shape of its result. The device is waited for after each, which adds some
/// 15 microseconds to every call.
public final class OpsProfile {
  private final Ops ops;
  private final CudaBackend backend;
  private final Map<String, double[]> times = new TreeMap<>();

  /// @param ops of that backend
  public OpsProfile(Ops ops, CudaBackend backend) {
    this.ops = ops;
    this.backend = backend;
  }

  /// The operations, watched.
  public Ops ops() {
    return (Ops)
        Proxy.newProxyInstance(
            Ops.class.getClassLoader(),
            new Class<?>[] {Ops.class},
            (_, method, arguments) -> watched(method, arguments));
  }

  private Object watched(Method method, Object[] arguments) throws Throwable {
    long begin = System.nanoTime();
    try {
      Object result = method.invoke(ops, arguments);
      if (result instanceof Tensor tensor) {
        backend.synchronize();
        String key = "%s %s %s".formatted(method.getName(), tensor.dtype(), tensor.shape());
        double[] entry = times.computeIfAbsent(key, _ -> new double[2]);
        entry[0] += (System.nanoTime() - begin) / 1e6;
        entry[1]++;
      }
      return result;
    } catch (InvocationTargetException e) {
      throw e.getTargetException();
    }
  }

  /// Forgets what was measured.
  public void clear() {
    times.clear();
  }

  /// Prints the largest.
  @SuppressWarnings("AnnotateFormatMethod") // its annotation would be a dependency more
  public void print(int most) {
    times.entrySet().stream()
        .sorted(Comparator.comparingDouble(entry -> -entry.getValue()[0]))
        .limit(most)
        .forEach(entry -> {
          double[] value = entry.getValue();
          System.out.printf(
              Locale.ROOT,
              "  %8.3f ms  %4.0f x %8.1f us  %s%n",
              value[0],
              value[1],
              1e3 * value[0] / value[1],
              entry.getKey());
        });
  }
}
