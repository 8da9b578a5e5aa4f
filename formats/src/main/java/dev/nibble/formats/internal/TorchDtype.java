package dev.nibble.formats.internal;

import dev.nibble.formats.DType;
import java.util.Optional;

/// Names of float types as torch prints them without `torch.`.
public final class TorchDtype {
  private TorchDtype() {}

  /// The name of a 16- or 32-bit float.
  ///
  /// @throws IllegalArgumentException for any other type
  public static String name(DType type) {
    return switch (type) {
      case BF16 -> "bfloat16";
      case F16 -> "float16";
      case F32 -> "float32";
      default -> throw new IllegalArgumentException(type + " is no 16- or 32-bit float");
    };
  }

  /// The 16- or 32-bit float of that name.
  public static Optional<DType> named(String name) {
    return switch (name) {
      case "bfloat16" -> Optional.of(DType.BF16);
      case "float16" -> Optional.of(DType.F16);
      case "float32" -> Optional.of(DType.F32);
      default -> Optional.empty();
    };
  }

  /// The type that a weight is dequantized to: its own, or for a type that loaders don't compute
  /// in, the smallest that holds all its values (BF16 for the 8-bit floats), or F32 (for F64).
  public static DType computable(DType source) {
    return switch (source) {
      case BF16, F16, F32 -> source;
      case F8_E4M3, F8_E5M2 -> DType.BF16;
      default -> DType.F32;
    };
  }
}
