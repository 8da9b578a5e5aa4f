package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/// The tensor types of ggml that nibble reads and writes. A quantized type cuts each row of a
/// weight (its last dimension) into blocks that are stored on their own.
///
/// Source: ggml, `include/ggml.h` (`enum ggml_type`) and `src/ggml-common.h`.
public enum GgmlType {
  F32(0, DType.F32),
  F16(1, DType.F16),
  Q4_0(2, 32, 18),
  Q4_1(3, 32, 20),
  Q5_0(6, 32, 22),
  Q5_1(7, 32, 24),
  Q8_0(8, 32, 34),
  Q2_K(10, 256, 84),
  Q3_K(11, 256, 110),
  Q4_K(12, 256, 144),
  Q5_K(13, 256, 176),
  Q6_K(14, 256, 210),
  IQ4_NL(20, 32, 18),
  IQ4_XS(23, 256, 136),
  I8(24, DType.I8),
  I16(25, DType.I16),
  I32(26, DType.I32),
  I64(27, DType.I64),
  F64(28, DType.F64),
  BF16(30, DType.BF16),
  MXFP4(39, 32, 17);

  private static final Map<Integer, GgmlType> BY_ID =
      Arrays.stream(values())
          .collect(Collectors.toUnmodifiableMap(GgmlType::id, Function.identity()));

  /// Types that files may name and nibble does not read; 4, 5, 31 to 33 and 36 to 38 were removed.
  private static final Map<Integer, String> OTHERS =
      Map.ofEntries(
          Map.entry(4, "Q4_2 (removed from ggml)"),
          Map.entry(5, "Q4_3 (removed from ggml)"),
          Map.entry(9, "Q8_1"),
          Map.entry(15, "Q8_K"),
          Map.entry(16, "IQ2_XXS"),
          Map.entry(17, "IQ2_XS"),
          Map.entry(18, "IQ3_XXS"),
          Map.entry(19, "IQ1_S"),
          Map.entry(21, "IQ3_S"),
          Map.entry(22, "IQ2_S"),
          Map.entry(29, "IQ1_M"),
          Map.entry(31, "Q4_0_4_4 (removed from ggml)"),
          Map.entry(32, "Q4_0_4_8 (removed from ggml)"),
          Map.entry(33, "Q4_0_8_8 (removed from ggml)"),
          Map.entry(34, "TQ1_0"),
          Map.entry(35, "TQ2_0"),
          Map.entry(36, "IQ4_NL_4_4 (removed from ggml)"),
          Map.entry(37, "IQ4_NL_4_8 (removed from ggml)"),
          Map.entry(38, "IQ4_NL_8_8 (removed from ggml)"),
          Map.entry(40, "NVFP4"),
          Map.entry(41, "Q1_0"),
          Map.entry(42, "Q2_0"));

  private final int id;
  private final int blockSize;
  private final int blockBytes;
  private final Optional<DType> plain;

  GgmlType(int id, int blockSize, int blockBytes) {
    this.id = id;
    this.blockSize = blockSize;
    this.blockBytes = blockBytes;
    this.plain = Optional.empty();
  }

  GgmlType(int id, DType plain) {
    this.id = id;
    this.blockSize = 1;
    this.blockBytes = plain.bits() / 8;
    this.plain = Optional.of(plain);
  }

  /// The number that stands for the type in a file.
  public int id() {
    return id;
  }

  /// Elements of a block; 1 for a type that is not quantized.
  public int blockSize() {
    return blockSize;
  }

  /// Bytes of a block.
  public int blockBytes() {
    return blockBytes;
  }

  /// The element type, unless the type is quantized.
  public Optional<DType> plain() {
    return plain;
  }

  public boolean isQuantized() {
    return plain.isEmpty();
  }

  /// Whether rows of a tensor of that shape fall into whole blocks.
  public boolean fits(Shape shape) {
    return shape.last() % blockSize == 0;
  }

  /// Bytes of `elements` elements, whole blocks.
  ///
  /// @throws ArithmeticException if the size overflows
  public long byteSize(long elements) {
    return Math.multiplyExact(elements / blockSize, (long) blockBytes);
  }

  /// As people write it: `q4_k`.
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /// The type of that number.
  public static Optional<GgmlType> byId(int id) {
    return Optional.ofNullable(BY_ID.get(id));
  }

  /// What an element type is in ggml.
  public static Optional<GgmlType> of(DType dtype) {
    return Arrays.stream(values())
        .filter(type -> type.plain.filter(dtype::equals).isPresent())
        .findFirst();
  }

  /// The type of that name, upper or lower case.
  public static Optional<GgmlType> named(String name) {
    return Arrays.stream(values()).filter(type -> type.name().equalsIgnoreCase(name)).findFirst();
  }

  /// The name of a type that ggml knows, or knew, and nibble does not read.
  public static Optional<String> otherName(int id) {
    return Optional.ofNullable(OTHERS.get(id));
  }
}
