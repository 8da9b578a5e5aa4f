package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import java.util.List;
import java.util.Optional;

/// Reads the options of schemes that have several: words between colons, each at most once and in
/// the order in which {@link QuantScheme#id()} writes them.
final class SchemeWords {
  private final List<String> words;
  private final String text;
  private int next = 1;

  private SchemeWords(List<String> words, String text) {
    this.words = words;
    this.text = text;
  }

  /// `int4:g128:asym:bf16` and the like.
  static GroupedInt groupedInt(int bits, List<String> words, String text) {
    SchemeWords rest = new SchemeWords(words, text);
    int groupSize = rest.groupSize();
    boolean asymmetric = rest.take("asym");
    DType scale = rest.scale(DType.F16);
    rest.end();
    return new GroupedInt(bits, groupSize, !asymmetric, scale);
  }

  /// `fp8:row:bf16` and the like.
  static Fp8 fp8(Fp8Type type, List<String> words, String text) {
    SchemeWords rest = new SchemeWords(words, text);
    Fp8.Scaling scaling = Fp8.Scaling.TENSOR;
    if (rest.take("plain")) {
      scaling = Fp8.Scaling.NONE;
    } else if (rest.take("row")) {
      scaling = Fp8.Scaling.ROW;
    }
    DType scale = scaling == Fp8.Scaling.NONE ? DType.F32 : rest.scale(DType.F32);
    rest.end();
    return new Fp8(type, scaling, scale);
  }

  private int groupSize() {
    if (take("row")) {
      return 0;
    }
    if (next < words.size() && words.get(next).startsWith("g")) {
      Optional<Integer> number = QuantSchemes.number(words.get(next++).substring(1));
      return number.orElseThrow(() -> QuantSchemes.unknown(text));
    }
    return GroupedInt.DEFAULT_GROUP_SIZE;
  }

  private DType scale(DType usual) {
    for (DType type : List.of(DType.F16, DType.BF16, DType.F32)) {
      if (take(ScaleType.word(type))) {
        return type;
      }
    }
    return usual;
  }

  private boolean take(String word) {
    boolean found = next < words.size() && words.get(next).equals(word);
    next += found ? 1 : 0;
    return found;
  }

  private void end() {
    if (next < words.size()) {
      throw QuantSchemes.unknown(text);
    }
  }
}
