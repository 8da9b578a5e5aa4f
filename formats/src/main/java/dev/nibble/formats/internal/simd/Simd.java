package dev.nibble.formats.internal.simd;

/// Decides once whether kernels of the Vector API run here. Nothing outside this package, and
/// nothing in it but the `Vector*` classes, mentions the incubating module, so that a JVM without
/// it never loads a class that would not link.
///
/// The property `nibble.simd` forces the choice: `scalar`, or `vector` (which fails instead of
/// falling back).
public final class Simd {
  /// Name of the system property that forces the choice.
  public static final String PROPERTY = "nibble.simd";

  private static final boolean VECTOR = decide(System.getProperty(PROPERTY, "auto"));

  private Simd() {}

  /// Whether the Vector API is used: its module is in this JVM and the machine's vectors have at
  /// least 256 bits, or the property says so.
  public static boolean isVector() {
    return VECTOR;
  }

  private static boolean decide(String wish) {
    boolean present = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
    return switch (wish) {
      case "scalar" -> false;
      case "auto" -> present && VectorFloats.isWide();
      case "vector" -> {
        if (!present || !VectorFloats.isWide()) {
          throw new IllegalStateException(
              PROPERTY
                  + "=vector needs --add-modules=jdk.incubator.vector and vectors of 256 bits");
        }
        yield true;
      }
      default ->
          throw new IllegalArgumentException(
              PROPERTY + " is auto, scalar or vector, not '" + wish + "'");
    };
  }
}
