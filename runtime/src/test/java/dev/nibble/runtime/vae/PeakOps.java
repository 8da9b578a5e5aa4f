package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

/// Operations that look at the backend's open bytes after each call.
final class PeakOps {
  private final Ops delegate;
  private final Backend backend;
  private long bytes;

  PeakOps(Ops delegate, Backend backend) {
    this.delegate = delegate;
    this.backend = backend;
  }

  /// The operations.
  Ops ops() {
    return (Ops)
        Proxy.newProxyInstance(
            Ops.class.getClassLoader(),
            new Class<?>[] {Ops.class},
            (_, method, arguments) -> watched(method, arguments));
  }

  /// Most bytes that were open after a call.
  long bytes() {
    return bytes;
  }

  private Object watched(Method method, Object[] arguments) throws Throwable {
    try {
      return method.invoke(delegate, arguments);
    } catch (InvocationTargetException e) {
      throw e.getTargetException();
    } finally {
      bytes = Math.max(bytes, backend.openBytes());
    }
  }
}
