package dev.nibble.tools.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ByteSizeTest {
  @ParameterizedTest
  @CsvSource({
    "10GB, 10000000000",
    "512MiB, 536870912",
    "512M, 536870912",
    "512m, 536870912",
    "1.5G, 1610612736",
    "1.5kB, 1500",
    "2 TB, 2000000000000",
    "77, 77",
    "9223372036854775807, 9223372036854775807"
  })
  void readsSizes(String text, long bytes) {
    assertEquals(bytes, ByteSize.parse(text).bytes());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "GB", "-1G", "1XB", "1e9", "0", "0.2", "9223372036854775808", "99999999T"})
  void refusesTheRest(String text) {
    assertThrows(IllegalArgumentException.class, () -> ByteSize.parse(text));
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0 B",
    "999, 999 B",
    "1000, 1.00 kB",
    "9994, 9.99 kB",
    "9996, 10.0 kB",
    "999499, 999 kB",
    "999600, 1.00 MB",
    "4660224, 4.66 MB",
    "20000000000, 20.0 GB",
    "9223372036854775807, 9.22 EB"
  })
  void writesThreeDigits(long bytes, String text) {
    assertEquals(text, ByteSize.human(bytes));
  }
}
