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
          + " bnb8-dynamic[:BLOCK], gguf:TYPE";

  private QuantSchemes() {}

  /// The scheme of that name.
  ///
  /// | name | scheme | default block |
  /// |---|---|---|
  /// | `nf4[:B][:plain]`, `fp4[:B][:plain]` | {@link FourBit}; `plain` without double quantization | 64 |
  /// | `int8` | {@link LlmInt8} | a row |
  /// | `absmax8[:B]`, `affine8[:B]` | {@link AbsmaxInt8}, {@link AffineInt8} | a row |
  /// | `bnb8-dynamic[:B]` | {@link DynamicInt8} | 4096 |
  /// | `gguf:TYPE` | {@link GgmlBlock} of that ggml type, `gguf:q8_0` | of the type |
  ///
  /// @throws IllegalArgumentException with a line that lists the names, if there is none such, or
  ///   that says which block sizes the scheme has
  public static QuantScheme parse(String text) {
    List<String> words = List.of(text.split(":", -1));
    String name = words.getFirst();
    return switch (name) {
      case "nf4" -> fourBit(FourBitType.NF4, text, words);
      case "fp4" -> fourBit(FourBitType.FP4, text, words);
      case "int8" -> {
        requireWords(text, words, 1);
        yield new LlmInt8();
      }
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
    String number = words.get(1);
    boolean isNumber =
        !number.isEmpty()
            && number.length() <= 9
            && number.charAt(0) != '0'
            && number.chars().allMatch(c -> c >= '0' && c <= '9');
    if (!isNumber) {
      throw unknown(text);
    }
    return Optional.of(Integer.parseInt(number));
  }

  private static void requireWords(String text, List<String> words, int most) {
    if (words.size() > most) {
      throw unknown(text);
    }
  }

  private static IllegalArgumentException unknown(String text) {
    return new IllegalArgumentException(
        "unknown scheme '" + Text.printable(text) + "': expected " + FORMS);
  }
}
