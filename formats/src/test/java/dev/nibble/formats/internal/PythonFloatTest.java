package dev.nibble.formats.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PythonFloatTest {
  /// As CPython 3.11 printed them: each text is its own value's repr.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "0.0",
        "-0.0",
        "1.0",
        "6.0",
        "0.1",
        "0.0001",
        "0.001",
        "1e-05",
        "1.5e-05",
        "9.999999e-05",
        "123456.789",
        "1234567890123456.0",
        "9999999999999998.0",
        "1e+16",
        "1.2345678901234568e+16",
        "2e+23",
        "1e+22",
        "1e+23",
        "9.007199254740993e+15",
        "5e-324",
        "1e-323",
        "2.2250738585072014e-308",
        "1.7976931348623157e+308",
        "-1.7976931348623157e+308",
        "0.26990190148353577",
        "1.401298464324817e-45",
        "3.4028234663852886e+38",
        "1e-07",
        "1e+100",
        "-1.234e-10",
        "4.35",
        "0.3"
      })
  void writesAsPython(String text) {
    assertEquals(
        text.equals("9.007199254740993e+15") ? "9007199254740992.0" : text,
        PythonFloat.repr(Double.parseDouble(text)));
  }

  @ParameterizedTest
  @CsvSource({"NaN,NaN", "Infinity,Infinity", "-Infinity,-Infinity"})
  void writesWhatIsNotFiniteAsJsonDumpsDoes(double value, String text) {
    assertEquals(text, PythonFloat.repr(value));
  }

  @Test
  void everyTextReadsBackAndIsShort() {
    long seed = 5;
    Random random = new Random(seed);
    for (int i = 0; i < 100_000; i++) {
      double value =
          i % 2 == 0
              ? Double.longBitsToDouble(random.nextLong())
              : Float.intBitsToFloat(random.nextInt());
      String text = PythonFloat.repr(value);
      assertTrue(text.length() <= PythonFloat.MAX_LENGTH, text);
      if (Double.isFinite(value)) {
        assertEquals(value, Double.parseDouble(text), "seed " + seed);
        assertTrue(digits(text) <= digits(Double.toString(value)), text);
      }
    }
  }

  private static int digits(String text) {
    String mantissa = text.split("[eE]")[0].replaceAll("[-.]", "");
    return mantissa.replaceFirst("^0+", "").replaceFirst("0+$", "").length();
  }
}
