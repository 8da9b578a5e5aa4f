package dev.nibble.runtime.cuda.cublas;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.nibble.runtime.device.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// The functions of `cublasLt.h` that a product takes. Handles and descriptors are opaque
/// addresses.
final class LtFunctions {
  /// `CUBLAS_STATUS_NOT_SUPPORTED`.
  static final int NOT_SUPPORTED = 15;

  private final MethodHandle version;
  private final MethodHandle create;
  private final MethodHandle destroy;
  private final MethodHandle descriptorCreate;
  private final MethodHandle descriptorSet;
  private final MethodHandle descriptorDestroy;
  private final MethodHandle layoutCreate;
  private final MethodHandle layoutDestroy;
  private final MethodHandle preferenceCreate;
  private final MethodHandle preferenceSet;
  private final MethodHandle preferenceDestroy;
  private final MethodHandle heuristic;
  private final MethodHandle matmul;

  private LtFunctions(SymbolLookup library) {
    version = handle(library, "cublasLtGetVersion", FunctionDescriptor.of(JAVA_LONG));
    create = handle(library, "cublasLtCreate", ADDRESS);
    destroy = handle(library, "cublasLtDestroy", JAVA_LONG);
    descriptorCreate = handle(library, "cublasLtMatmulDescCreate", ADDRESS, JAVA_INT, JAVA_INT);
    descriptorSet =
        handle(library, "cublasLtMatmulDescSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
    descriptorDestroy = handle(library, "cublasLtMatmulDescDestroy", JAVA_LONG);
    layoutCreate =
        handle(
            library,
            "cublasLtMatrixLayoutCreate",
            ADDRESS,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG);
    layoutDestroy = handle(library, "cublasLtMatrixLayoutDestroy", JAVA_LONG);
    preferenceCreate = handle(library, "cublasLtMatmulPreferenceCreate", ADDRESS);
    preferenceSet =
        handle(
            library,
            "cublasLtMatmulPreferenceSetAttribute",
            JAVA_LONG,
            JAVA_INT,
            ADDRESS,
            JAVA_LONG);
    preferenceDestroy = handle(library, "cublasLtMatmulPreferenceDestroy", JAVA_LONG);
    heuristic =
        handle(
            library,
            "cublasLtMatmulAlgoGetHeuristic",
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            ADDRESS,
            ADDRESS);
    matmul =
        handle(
            library,
            "cublasLtMatmul",
            JAVA_LONG, // handle
            JAVA_LONG, // descriptor
            ADDRESS, // alpha
            JAVA_LONG, // A
            JAVA_LONG,
            JAVA_LONG, // B
            JAVA_LONG,
            ADDRESS, // beta
            JAVA_LONG, // C
            JAVA_LONG,
            JAVA_LONG, // D
            JAVA_LONG,
            ADDRESS, // algorithm
            JAVA_LONG, // workspace
            JAVA_LONG,
            JAVA_LONG); // stream
  }

  /// Looks in the file or folder that the system property `nibble.cublaslt` or the environment's
  /// `NIBBLE_CUBLASLT` names, else on the library path.
  static Optional<LtFunctions> find() {
    String named = System.getProperty("nibble.cublaslt", System.getenv("NIBBLE_CUBLASLT"));
    return named == null || named.isEmpty() ? byName() : Optional.of(at(Path.of(named)));
  }

  private static Optional<LtFunctions> byName() {
    boolean windows = System.getProperty("os.name").toLowerCase(Locale.ROOT).contains("windows");
    List<String> names =
        windows
            ? List.of("cublasLt64_13.dll", "cublasLt64_12.dll")
            : List.of("libcublasLt.so.13", "libcublasLt.so.12");
    return names.stream().flatMap(name -> lookup(name).stream()).findFirst().map(LtFunctions::new);
  }

  @SuppressWarnings("restricted") // foreign functions are what this class is for
  private static Optional<SymbolLookup> lookup(String name) {
    try {
      // Global: a library that knows CUDA contexts must not be unloaded under them.
      return Optional.of(SymbolLookup.libraryLookup(name, Arena.global()));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  @SuppressWarnings("restricted") // foreign functions are what this class is for
  private static LtFunctions at(Path path) {
    try {
      return new LtFunctions(SymbolLookup.libraryLookup(path, Arena.global()));
    } catch (IllegalArgumentException e) {
      throw new DeviceException(
          "%s is no cuBLASLt library that opens here: correct NIBBLE_CUBLASLT (or the property nibble.cublaslt), or leave it away"
              .formatted(path),
          e);
    }
  }

  private static MethodHandle handle(SymbolLookup library, String name, MemoryLayout... arguments) {
    return handle(library, name, FunctionDescriptor.of(JAVA_INT, arguments));
  }

  @SuppressWarnings("restricted") // foreign functions are what this class is for
  private static MethodHandle handle(
      SymbolLookup library, String name, FunctionDescriptor descriptor) {
    MemorySegment symbol =
        library
            .find(name)
            .orElseThrow(() ->
                new DeviceException(
                    "cuBLASLt has no function %s: install the one of CUDA 12 or 13"
                        .formatted(name)));
    return Linker.nativeLinker().downcallHandle(symbol, descriptor);
  }

  long version() {
    return (long) call(version);
  }

  /// Makes the library's handle for the current context.
  long create() {
    return made("cublasLtCreate", create);
  }

  void destroy(long handle) {
    check((int) call(destroy, handle), "cublasLtDestroy");
  }

  long descriptor(int computeType, int scaleType) {
    return made("cublasLtMatmulDescCreate", descriptorCreate, computeType, scaleType);
  }

  void setDescriptor(long descriptor, int attribute, MemorySegment value) {
    check(
        (int) call(descriptorSet, descriptor, attribute, value, value.byteSize()),
        "cublasLtMatmulDescSetAttribute");
  }

  void destroyDescriptor(long descriptor) {
    check((int) call(descriptorDestroy, descriptor), "cublasLtMatmulDescDestroy");
  }

  /// @param rows of the column-major matrix
  /// @param stride elements between two columns
  long layout(int type, long rows, long columns, long stride) {
    return made("cublasLtMatrixLayoutCreate", layoutCreate, type, rows, columns, stride);
  }

  void destroyLayout(long layout) {
    check((int) call(layoutDestroy, layout), "cublasLtMatrixLayoutDestroy");
  }

  long preference() {
    return made("cublasLtMatmulPreferenceCreate", preferenceCreate);
  }

  void setPreference(long preference, int attribute, MemorySegment value) {
    check(
        (int) call(preferenceSet, preference, attribute, value, value.byteSize()),
        "cublasLtMatmulPreferenceSetAttribute");
  }

  void destroyPreference(long preference) {
    check((int) call(preferenceDestroy, preference), "cublasLtMatmulPreferenceDestroy");
  }

  /// The library's status; the best algorithm lies in `result` if `count` is not 0 then.
  int heuristic(
      long handle,
      long descriptor,
      long a,
      long b,
      long c,
      long preference,
      MemorySegment result,
      MemorySegment count) {
    return (int) call(heuristic, handle, descriptor, a, b, c, c, preference, 1, result, count);
  }

  /// Runs a product; its status. The one call that is made often.
  int matmul(
      long handle,
      long descriptor,
      MemorySegment alpha,
      long a,
      long aLayout,
      long b,
      long bLayout,
      MemorySegment beta,
      long c,
      long cLayout,
      MemorySegment algorithm,
      long workspace,
      long workspaceBytes,
      long stream) {
    try {
      return (int)
          matmul.invokeExact(
              handle,
              descriptor,
              alpha,
              a,
              aLayout,
              b,
              bLayout,
              beta,
              c,
              cLayout,
              c,
              cLayout,
              algorithm,
              workspace,
              workspaceBytes,
              stream);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /// Calls a function whose first parameter takes the address of what it makes.
  private static long made(String name, MethodHandle function, Object... arguments) {
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment out = scratch.allocate(JAVA_LONG);
      Object[] all = new Object[arguments.length + 1];
      all[0] = out;
      System.arraycopy(arguments, 0, all, 1, arguments.length);
      check((int) call(function, all), name);
      return out.get(JAVA_LONG, 0);
    }
  }

  private static Object call(MethodHandle function, Object... arguments) {
    try {
      return function.invokeWithArguments(arguments);
    } catch (Throwable e) {
      throw new AssertionError(e); // C functions throw nothing
    }
  }

  static void check(int status, String call) {
    if (status != 0) {
      throw new DeviceException("cuBLASLt: %s failed: %s".formatted(call, status(status)));
    }
  }

  /// Of `cublasStatus_t`.
  static String status(int status) {
    return switch (status) {
      case 1 -> "not initialized; is its CUDA version newer than the driver's?";
      case 3 -> "no memory for its own needs; free some on the device";
      case 7 -> "invalid value";
      case 8 -> "it does not know this GPU's architecture; install a newer one";
      case 13 -> "execution failed";
      case 14 -> "internal error";
      case NOT_SUPPORTED -> "not supported";
      default -> "status " + status;
    };
  }
}
