package dev.nibble.formats.internal.simd;

import java.util.function.Supplier;

/// Decides once whether kernels of the Vector API run here. Nothing outside this package, and
/// nothing in it but the `Vector*` classes, mentions the incubating module, so that a JVM without
/// it never loads a class that would not link.
///
/// The property `nibble.simd` forces the choice: `scalar`; `eager`, vector kernels from the first
/// call on, where there are any; or `vector`, the same but failing where there are none. Otherwise
/// vector kernels take over when they are compiled ({@link Warmup}).
public final class Simd {
  /// Name of the system property that forces the choice.
  public static final String PROPERTY = "nibble.simd";

  private static final Mode MODE = decide(System.getProperty(PROPERTY, "auto"));

  private enum Mode {
    SCALAR,
    WARMING,
    VECTOR
  }

  private Simd() {}

  /// Whether the Vector API is used: its module is in this JVM and the machine's vectors have at
  /// least 256 bits, or the property says so.
  public static boolean isVector() {
    return MODE != Mode.SCALAR;
  }

  /// The kernel of the three that runs here. Pass lambdas: a reference to a constructor would load
  /// its class.
  public static <K> K choose(Supplier<K> scalar, Supplier<K> warming, Supplier<K> vector) {
    return switch (MODE) {
      case SCALAR -> scalar.get();
      case WARMING -> warming.get();
      case VECTOR -> vector.get();
    };
  }

  private static Mode decide(String wish) {
    boolean usable =
        ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent() && VectorFloats.isWide();
    return switch (wish) {
      case "scalar" -> Mode.SCALAR;
      case "auto" -> usable ? Mode.WARMING : Mode.SCALAR;
      case "eager" -> usable ? Mode.VECTOR : Mode.SCALAR;
      case "vector" -> {
        if (!usable) {
          throw new IllegalStateException(
              PROPERTY
                  + "=vector needs --add-modules=jdk.incubator.vector and vectors of 256 bits");
        }
        yield Mode.VECTOR;
      }
      default ->
          throw new IllegalArgumentException(
              PROPERTY + " is auto, eager, scalar or vector, not '" + wish + "'");
    };
  }
}
