package dev.nibble.runtime.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/// Driver calls by foreign functions: those made thousands of times a second, which JCuda makes
/// slowly, and those that it lacks. Constants, so that the JIT compiles them to plain calls;
/// initialized only after {@link CudaLibrary#find} found the driver.
final class CudaFunctions {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup LIBRARY = CudaLibrary.find().orElseThrow();

  private static final MethodHandle SET_CURRENT =
      handle("cuCtxSetCurrent", JAVA_LONG).orElseThrow();

  private static final MethodHandle LAUNCH =
      handle(
              "cuLaunchKernel",
              JAVA_LONG,
              JAVA_INT,
              JAVA_INT,
              JAVA_INT,
              JAVA_INT,
              JAVA_INT,
              JAVA_INT,
              JAVA_INT,
              JAVA_LONG,
              ADDRESS,
              ADDRESS)
          .orElseThrow();

  // Since CUDA 12.4.
  private static final Optional<MethodHandle> PARAMETER =
      handle("cuFuncGetParamInfo", JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS);

  private CudaFunctions() {}

  @SuppressWarnings("restricted") // foreign functions are what this package is for
  private static Optional<MethodHandle> handle(String name, MemoryLayout... arguments) {
    return LIBRARY
        .find(name)
        .map(symbol -> LINKER.downcallHandle(symbol, FunctionDescriptor.of(JAVA_INT, arguments)));
  }

  static int setCurrent(long context) {
    try {
      return (int) SET_CURRENT.invokeExact(context);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  static int launch(long function, LaunchShape shape, long stream, MemorySegment parameters) {
    try {
      return (int)
          LAUNCH.invokeExact(
              function,
              shape.gridX(),
              shape.gridY(),
              shape.gridZ(),
              shape.blockX(),
              shape.blockY(),
              shape.blockZ(),
              shape.sharedBytes(),
              stream,
              parameters,
              MemorySegment.NULL);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /// Whether the driver can tell a kernel's parameters.
  static boolean tellsParameters() {
    return PARAMETER.isPresent();
  }

  /// Writes offset and size (two longs) of a kernel's parameter.
  static int parameter(long function, long index, MemorySegment offset, MemorySegment size) {
    try {
      return (int) PARAMETER.orElseThrow().invokeExact(function, index, offset, size);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
