package dev.nibble.formats.quant;

import dev.nibble.formats.Text;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/// The schemes by the names that the command line and files use: the inverse of {@link
/// QuantScheme#id()}.
public final class QuantSchemes {
  private static final String PLAIN = "plain";

  private static final String FORMS =
      "nf4[:BLOCK][:plain], fp4[:BLOCK][:plain], int8, absmax8[:BLOCK], affine8[:BLOCK],"
          + " bnb8-dynamic[:BLOCK], int4[:gN|:row][:asym], int8:gN[:asym], fp8[-e5m2][:row|:plain],"
          + " gguf:TYPE; of all but the last also SCHEME+svdRANK and SCHEME+scale";

  private QuantSchemes() {}

  /// The scheme of that name.
  ///
  /// | name | scheme | default block |
  /// |---|---|---|
  /// | `nf4[:B][:plain]`, `fp4[:B][:plain]` | {@link FourBit}; `plain` without double quantization | 64 |
  /// | `int8` | {@link LlmInt8} | a row |
  /// | `absmax8[:B]`, `affine8[:B]` | {@link AbsmaxInt8}, {@link AffineInt8} | a row |
  /// | `int4[:gN][:asym]`, `int8:gN[:asym]` | {@link GroupedInt}; `:row` for one group a row; `:bf16`, `:f32` for scales other than F16 | 128 |
  /// | `fp8`, `fp8-e5m2` | {@link Fp8}; `:row` for one scale a row, `:plain` for a cast; `:bf16`, `:f16` for scales other than F32 | the weight |
  /// | `bnb8-dynamic[:B]` | {@link DynamicInt8} | 4096 |
  /// | `gguf:TYPE` | {@link GgmlBlock} of that ggml type, `gguf:q8_0` | of the type |
  /// | `SCHEME+svdRANK`, `SCHEME+scale` | {@link SvdQuant} over the scheme | of the scheme |
  ///
  /// @throws IllegalArgumentException with a line that lists the names, if there is none such, or
  ///   that says which block sizes the scheme has
  public static QuantScheme parse(String text) {
    int plus = text.lastIndexOf('+');
    return plus < 0 ? plain(text) : branched(text, plus);
  }

  private static SvdQuant branched(String text, int plus) {
    String word = text.substring(plus + 1);
    int rank =
        word.equals(SvdQuant.SCALE)
            ? 0
            : Optional.of(word)
                .filter(it -> it.startsWith(SvdQuant.RANK))
                .flatMap(it -> number(it.substring(SvdQuant.RANK.length())))
                .orElseThrow(() -> unknown(text));
    return new SvdQuant(parse(text.substring(0, plus)), rank);
  }

  private static QuantScheme plain(String text) {
    List<String> words = List.of(text.split(":", -1));
    String name = words.getFirst();
    return switch (name) {
      case "nf4" -> fourBit(FourBitType.NF4, text, words);
      case "fp4" -> fourBit(FourBitType.FP4, text, words);
      case "int8" -> words.size() == 1 ? new LlmInt8() : SchemeWords.groupedInt(8, words, text);
      case "int4" -> SchemeWords.groupedInt(4, words, text);
      case "fp8" -> SchemeWords.fp8(Fp8Type.E4M3, words, text);
      case "fp8-e5m2" -> SchemeWords.fp8(Fp8Type.E5M2, words, text);
      case "absmax8" -> new AbsmaxInt8(onlyBlock(text, words).orElse(0));
      case "affine8" -> new AffineInt8(onlyBlock(text, words).orElse(0));
      case "bnb8-dynamic" ->
          new DynamicInt8(onlyBlock(text, words).orElse(DynamicInt8.DEFAULT_BLOCK_SIZE));
      case GgmlBlock.PREFIX -> new GgmlBlock(ggmlType(text, words));
      default -> throw unknown(text);
    };
  }

  private static GgmlType ggmlType(String text, List<String> words) {
    requireWords(text, words, 2);
    return GgmlType.named(words.getLast())
        .filter(GgmlType::isQuantized)
        .orElseThrow(() ->
            new IllegalArgumentException(
                "unknown scheme '"
                    + Text.printable(text)
                    + "': of ggml's types nibble writes "
                    + Arrays.stream(GgmlType.values())
                        .filter(GgmlType::isQuantized)
                        .map(GgmlType::label)
                        .collect(Collectors.joining(", "))));
  }

  private static FourBit fourBit(FourBitType type, String text, List<String> words) {
    boolean plain = words.size() > 1 && words.getLast().equals(PLAIN);
    List<String> rest = plain ? words.subList(0, words.size() - 1) : words;
    return new FourBit(type, onlyBlock(text, rest).orElse(FourBit.DEFAULT_BLOCK_SIZE), !plain);
  }

  private static Optional<Integer> onlyBlock(String text, List<String> words) {
    if (words.size() == 1) {
      return Optional.empty();
    }
    requireWords(text, words, 2);
    return Optional.of(number(words.get(1)).orElseThrow(() -> unknown(text)));
  }

  static Optional<Integer> number(String digits) {
    boolean isNumber =
        !digits.isEmpty()
            && digits.length() <= 9
            && digits.charAt(0) != '0'
            && digits.chars().allMatch(c -> c >= '0' && c <= '9');
    return isNumber ? Optional.of(Integer.parseInt(digits)) : Optional.empty();
  }

  private static void requireWords(String text, List<String> words, int most) {
    if (words.size() > most) {
      throw unknown(text);
    }
  }

  static IllegalArgumentException unknown(String text) {
    return new IllegalArgumentException(
        "unknown scheme '" + Text.printable(text) + "': expected " + FORMS);
  }
}
