package dev.nibble.runtime.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.util.Locale;
import java.util.Optional;

/// The driver's library. Looked for before anything of JCuda's is touched: without it JCuda's
/// classes fail to initialize.
final class CudaLibrary {
  private CudaLibrary() {}

  /// The library's name on this system.
  static String fileName() {
    boolean windows = System.getProperty("os.name").toLowerCase(Locale.ROOT).contains("windows");
    return windows ? "nvcuda.dll" : "libcuda.so.1";
  }

  @SuppressWarnings("restricted") // foreign functions are what this package is for
  static Optional<SymbolLookup> find() {
    try {
      // Global: a driver that has threads of its own must never be unloaded.
      return Optional.of(SymbolLookup.libraryLookup(fileName(), Arena.global()));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
