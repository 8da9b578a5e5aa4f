package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.nibble.formats.LittleEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class TorchSumTest {
  /// Bits that PyTorch 2.13 on one CPU thread gave for `x.sum()` and `x.mean()` of `x[i] = ((i *
  /// 2654435761 mod 2^32) >> 8) * 2^-24` in float32. The longest makes the cascade's step grow.
  @ParameterizedTest
  @CsvSource({
    "1, 00000000, 00000000",
    "2, 3f1e3779, 3e9e3779",
    "3, 3f5aa66c, 3e91c448",
    "7, 403ea33e, 3ed9df22",
    "8, 40538453, 3ed38453",
    "9, 4087f9a2, 3ef1bbcb",
    "31, 41762c3f, 3efe1d28",
    "32, 4178b7bc, 3ef8b7bc",
    "33, 41829358, 3efd3cca",
    "63, 41f829b9, 3efc1a22",
    "511, 437eeb2c, 3eff6ae1",
    "512, 437fbbe8, 3effbbe8",
    "513, 4380156e, 3effab06",
    "1000, 43f9fcf9, 3efffce6",
    "4097, 45000944, 3f000144",
    "16384, 45fff4c5, 3efff4c5",
    "32768, 467ffd05, 3efffd05",
    "100003, 47435135, 3effff9e",
    "1048581, 49000016, 3effffdc",
    "20000033, 4b189691, 3f000001"
  })
  void bitsAreThoseOfPytorch(long count, String sum, String mean) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment values = arena.allocate(count * Float.BYTES);
      for (long i = 0; i < count; i++) {
        float value = ((i * 2654435761L & 0xffffffffL) >> 8) * 0x1p-24f;
        values.set(LittleEndian.FLOAT, i * Float.BYTES, value);
      }
      assertEquals(sum, hex(TorchSum.sum(values)));
      assertEquals(mean, hex(TorchSum.mean(values)));
    }
  }

  private static String hex(float value) {
    return HexFormat.of().toHexDigits(Float.floatToRawIntBits(value));
  }
}
