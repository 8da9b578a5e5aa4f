package dev.nibble.formats;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/// Element types of safetensors, in the format's own ascending order (which its writer sorts by).
///
/// Source: safetensors 0.8, `tensor.rs`, enum `Dtype`. `F8_E4M3` is the "fn" variant: no infinity,
/// largest value 448. `F4` is E2M1, two elements a byte; shapes always count elements.
public enum DType {
  BOOL(8),
  F4(4),
  F6_E2M3(6),
  F6_E3M2(6),
  U8(8),
  I8(8),
  F8_E5M2(8),
  F8_E4M3(8),
  F8_E8M0(8),
  F8_E4M3FNUZ(8),
  F8_E5M2FNUZ(8),
  I16(16),
  U16(16),
  F16(16),
  BF16(16),
  I32(32),
  U32(32),
  F32(32),
  C64(64),
  F64(64),
  I64(64),
  U64(64);

  private static final Map<String, DType> BY_NAME =
      Arrays.stream(values())
          .collect(Collectors.toUnmodifiableMap(DType::name, Function.identity()));

  private final int bits;

  DType(int bits) {
    this.bits = bits;
  }

  /// Size of one element in bits.
  public int bits() {
    return bits;
  }

  /// Bytes of `elements` elements.
  ///
  /// @throws ArithmeticException if the size overflows, or is not a whole number of bytes
  public long byteSize(long elements) {
    long totalBits = Math.multiplyExact(elements, (long) bits);
    if (totalBits % 8 != 0) {
      throw new ArithmeticException(elements + " elements of " + this + " do not fill whole bytes");
    }
    return totalBits / 8;
  }

  /// Whether the type is a plain float that a weight may be quantized from.
  public boolean isQuantizable() {
    return switch (this) {
      case F16, BF16, F32, F64, F8_E4M3, F8_E5M2 -> true;
      default -> false;
    };
  }

  /// The type that a header names, which is case-sensitive.
  public static Optional<DType> named(String name) {
    return Optional.ofNullable(BY_NAME.get(name));
  }
}
