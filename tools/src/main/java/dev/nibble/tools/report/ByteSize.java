package dev.nibble.tools.report;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A number of bytes as people write it. `GB` counts in thousands, as disks and Hugging Face do;
/// `GiB` and plain `G` count in 1024s, as memory does.
///
/// @param bytes at least 1
public record ByteSize(long bytes) {
  private static final Pattern FORM = Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*([A-Za-z]*)");
  private static final Map<String, Long> UNITS =
      Map.ofEntries(
          Map.entry("", 1L),
          Map.entry("b", 1L),
          Map.entry("kb", 1_000L),
          Map.entry("mb", 1_000_000L),
          Map.entry("gb", 1_000_000_000L),
          Map.entry("tb", 1_000_000_000_000L),
          Map.entry("k", 1L << 10),
          Map.entry("m", 1L << 20),
          Map.entry("g", 1L << 30),
          Map.entry("t", 1L << 40),
          Map.entry("kib", 1L << 10),
          Map.entry("mib", 1L << 20),
          Map.entry("gib", 1L << 30),
          Map.entry("tib", 1L << 40));

  /// Reads `10GB`, `512MiB`, `512M`, `1.5G` or a plain number of bytes.
  ///
  /// @throws IllegalArgumentException if the text is no size of at least one byte
  public static ByteSize parse(String text) {
    Matcher matcher = FORM.matcher(text.strip());
    Long unit = matcher.matches() ? UNITS.get(matcher.group(2).toLowerCase(Locale.ROOT)) : null;
    if (unit == null) {
      throw new IllegalArgumentException("is no size: write it as 10GB, 512MiB or 512M");
    }
    try {
      long bytes =
          new BigDecimal(matcher.group(1))
              .multiply(BigDecimal.valueOf(unit))
              .setScale(0, RoundingMode.DOWN)
              .longValueExact();
      if (bytes >= 1) {
        return new ByteSize(bytes);
      }
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException("is too large for a size", e);
    }
    throw new IllegalArgumentException("is less than one byte");
  }

  /// For reading: `4.66 MB`, three digits, in thousands.
  public static String human(long bytes) {
    if (bytes < 1000) {
      return bytes + " B";
    }
    double value = bytes;
    int unit = -1;
    do {
      value /= 1000;
      unit++;
    } while (value >= 999.5 && unit < 5);
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return String.format(Locale.ROOT, "%." + decimals + "f %cB", value, "kMGTPE".charAt(unit));
  }

  /// To the byte: `4,660,224`.
  public static String exact(long bytes) {
    return String.format(Locale.ROOT, "%,d", bytes);
  }
}
