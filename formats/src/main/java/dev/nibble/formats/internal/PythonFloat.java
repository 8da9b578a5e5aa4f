package dev.nibble.formats.internal;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;

/// Numbers as Python's `repr` and `json.dumps` write them, so that our files equal those of Python
/// tools.
///
/// Both languages print the shortest decimal that reads back as the same double; they differ in
/// when they use an exponent and in how they write it, and Java's shortest has at least two digits
/// (`4.9E-324` where Python has `5e-324`).
public final class PythonFloat {
  /// Longest result: sign, 17 digits, point, `e-324`.
  public static final int MAX_LENGTH = 24;

  private static final List<RoundingMode> ONE_DIGIT =
      List.of(RoundingMode.HALF_EVEN, RoundingMode.UP, RoundingMode.DOWN);

  private PythonFloat() {}

  /// `repr(value)`; NaN and infinities as `json.dumps` writes them.
  public static String repr(double value) {
    if (Double.isNaN(value)) {
      return "NaN";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "Infinity" : "-Infinity";
    }
    String sign = Double.doubleToRawLongBits(value) < 0 ? "-" : "";
    if (value == 0) {
      return sign + "0.0";
    }
    BigDecimal decimal = shortest(Math.abs(value));
    String digits = decimal.unscaledValue().toString();
    // The value is 0.DIGITS * 10^point.
    int point = digits.length() - decimal.scale();
    return sign + (point > -4 && point <= 16 ? plain(digits, point) : scientific(digits, point));
  }

  private static BigDecimal shortest(double value) {
    BigDecimal decimal = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    if (decimal.precision() == 2) {
      for (RoundingMode mode : ONE_DIGIT) {
        BigDecimal shorter = decimal.round(new MathContext(1, mode));
        if (shorter.doubleValue() == value) {
          return shorter.stripTrailingZeros();
        }
      }
    }
    return decimal;
  }

  private static String plain(String digits, int point) {
    if (point <= 0) {
      return "0." + "0".repeat(-point) + digits;
    }
    if (point >= digits.length()) {
      return digits + "0".repeat(point - digits.length()) + ".0";
    }
    return digits.substring(0, point) + "." + digits.substring(point);
  }

  private static String scientific(String digits, int point) {
    int exponent = point - 1;
    String fraction = digits.length() == 1 ? "" : "." + digits.substring(1);
    String number = Integer.toString(Math.abs(exponent));
    return digits.charAt(0)
        + fraction
        + (exponent < 0 ? "e-" : "e+")
        + (number.length() < 2 ? "0" : "")
        + number;
  }
}
