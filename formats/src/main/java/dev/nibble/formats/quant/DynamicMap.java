package dev.nibble.formats.quant;

/// bitsandbytes' signed 8-bit dynamic map, and its CPU backend's way of finding codes in it.
///
/// Source: bitsandbytes 0.50, `functional.py`, `create_dynamic_map`: for `i` in 0..6 the midpoints
/// of `linspace(0.1, 1, 2^i + 1)` times `10^(i-6)`, with both signs, then 0 and 1. The last bits
/// are those of torch's float32 arithmetic, so the numbers themselves are kept here.
final class DynamicMap {
  /// Number of codes.
  static final int SIZE = 256;

  /// The code of zero.
  static final byte ZERO = 127;

  /// Steps of the table of codes.
  static final int STEPS = 65_536;

  /// Bits of the positive values below 1, ascending.
  private static final String POSITIVE =
      """
      3513a3b7 365a1a94 370205ff 37b24206 38378034 388aefb3 38ba1f4b 3923d70b 398ce705
      39c7e283 3a016f01 3a1eecc1 3a3c6a80 3a59e83e 3a7765ff 3aa7ef9d 3af1a9fc 3b1db22d
      3b428f5c 3b676c8a 3b8624dd 3b989374 3bab020d 3bbd70a4 3bcfdf3b 3be24dd3 3bf4bc6a
      3c039581 3c0ccccd 3c160418 3c1f3b64 3c3ae148 3c68f5c3 3c8b851f 3ca28f5d 3cb9999a
      3cd0a3d7 3ce7ae15 3cfeb852 3d0ae148 3d166667 3d21eb85 3d2d70a3 3d38f5c3 3d447ae1
      3d500000 3d5b851f 3d670a3d 3d728f5d 3d7e147b 3d84cccd 3d8a8f5d 3d9051eb 3d96147b
      3d9bd70a 3da1999a 3da75c2a 3dad1eb8 3db2e148 3db8a3d7 3dbe6667 3dc428f7 3dc9eb85
      3ddb3334 3df80000 3e0a6666 3e18cccd 3e273333 3e35999a 3e440000 3e526666 3e60cccd
      3e6f3333 3e7d9999 3e860000 3e8d3334 3e946666 3e9b999a 3ea2cccc 3eaa0000 3eb13333
      3eb86666 3ebf999a 3ec6cccc 3ece0000 3ed53333 3edc6666 3ee3999a 3eeacccc 3ef20000
      3ef93332 3f003333 3f03cccc 3f076666 3f0b0000 3f0e999a 3f123334 3f15cccd 3f196666
      3f1d0000 3f20999a 3f243334 3f27cccd 3f2b6666 3f2f0000 3f32999a 3f363334 3f39cccd
      3f3d6666 3f410000 3f44999a 3f483333 3f4bcccd 3f4f6666 3f530000 3f56999a 3f5a3333
      3f5dcccd 3f616666 3f650000 3f68999a 3f6c3333 3f6fcccd 3f736666 3f770000 3f7a999a
      3f7e3333
      """;

  private static final float[] VALUES = values();
  private static final byte[] CODES = codes();

  private DynamicMap() {}

  /// The value of a code, for absmax 1.
  static float value(int code) {
    return VALUES[code];
  }

  /// A copy of all 256 values, ascending.
  static float[] copyOfValues() {
    return VALUES.clone();
  }

  /// A copy of the table of codes: entry `i` is the code of `-1 + 2i/65535`. The CPU backend rounds
  /// a number to this grid and takes the code found there, which is the nearest one to the number
  /// itself in all but about 1 % of cases.
  static byte[] copyOfCodes() {
    return CODES.clone();
  }

  private static float[] values() {
    String[] words = POSITIVE.strip().split("\\s+");
    float[] values = new float[SIZE];
    for (int i = 0; i < words.length; i++) {
      float value = Float.intBitsToFloat(Integer.parseUnsignedInt(words[i], 16));
      values[ZERO + 1 + i] = value;
      values[ZERO - 1 - i] = -value;
    }
    values[SIZE - 1] = 1;
    return values;
  }

  private static byte[] codes() {
    float[] bounds = new float[SIZE - 1];
    for (int i = 0; i < bounds.length; i++) {
      bounds[i] = (VALUES[i] + VALUES[i + 1]) / 2;
    }
    byte[] codes = new byte[STEPS];
    int code = 0;
    for (int i = 0; i < STEPS; i++) {
      float x = -1f + (2f * i) / 65535f;
      while (code < bounds.length && bounds[code] < x) {
        code++;
      }
      codes[i] = (byte) code;
    }
    return codes;
  }
}
