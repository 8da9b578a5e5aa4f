package dev.nibble.formats.quant;

import dev.nibble.formats.internal.simd.FourBitTable;

/// The codebooks of bitsandbytes, bit for bit as its files hold them.
final class Codebooks {
  /// NormalFloat4, ascending; code and bin are the same.
  private static final float[] NF4 = {
    -1f, -0x1.647362p-1f, -0x1.0cd66p-1f, -0x1.946540p-2f,
    -0x1.23449ap-2f, -0x1.7a6a7ep-3f, -0x1.74f0e2p-4f, 0f,
    0x1.45f5fep-4f, 0x1.4995c6p-3f, 0x1.f809bap-3f, 0x1.5a0674p-2f,
    0x1.c34970p-2f, 0x1.200f56p-1f, 0x1.722766p-1f, 1f
  };

  private static final byte[] NF4_CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

  /// Magnitudes of FP4, ascending.
  private static final float[] FP4 = {
    0f, 0x1.555556p-8f, 0x1.555556p-3f, 0.25f, 0x1.555556p-2f, 0.5f, 0x1.555556p-1f, 1f
  };

  /// Codes of the ascending FP4 values. Both zeros are +0; 0 is the lower bin of the two, because
  /// PyTorch's sort left them so.
  private static final byte[] FP4_CODES = {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3};

  /// The positive values of the signed dynamic map below 1, ascending, as float32 bits: what
  /// PyTorch's float32 linspace gives cannot be computed from a formula.
  private static final int[] DYNAMIC = {
    0x3513a3b7, 0x365a1a94, 0x370205ff, 0x37b24206, 0x38378034, 0x388aefb3, 0x38ba1f4b, 0x3923d70b,
    0x398ce705, 0x39c7e283, 0x3a016f01, 0x3a1eecc1, 0x3a3c6a80, 0x3a59e83e, 0x3a7765ff, 0x3aa7ef9d,
    0x3af1a9fc, 0x3b1db22d, 0x3b428f5c, 0x3b676c8a, 0x3b8624dd, 0x3b989374, 0x3bab020d, 0x3bbd70a4,
    0x3bcfdf3b, 0x3be24dd3, 0x3bf4bc6a, 0x3c039581, 0x3c0ccccd, 0x3c160418, 0x3c1f3b64, 0x3c3ae148,
    0x3c68f5c3, 0x3c8b851f, 0x3ca28f5d, 0x3cb9999a, 0x3cd0a3d7, 0x3ce7ae15, 0x3cfeb852, 0x3d0ae148,
    0x3d166667, 0x3d21eb85, 0x3d2d70a3, 0x3d38f5c3, 0x3d447ae1, 0x3d500000, 0x3d5b851f, 0x3d670a3d,
    0x3d728f5d, 0x3d7e147b, 0x3d84cccd, 0x3d8a8f5d, 0x3d9051eb, 0x3d96147b, 0x3d9bd70a, 0x3da1999a,
    0x3da75c2a, 0x3dad1eb8, 0x3db2e148, 0x3db8a3d7, 0x3dbe6667, 0x3dc428f7, 0x3dc9eb85, 0x3ddb3334,
    0x3df80000, 0x3e0a6666, 0x3e18cccd, 0x3e273333, 0x3e35999a, 0x3e440000, 0x3e526666, 0x3e60cccd,
    0x3e6f3333, 0x3e7d9999, 0x3e860000, 0x3e8d3334, 0x3e946666, 0x3e9b999a, 0x3ea2cccc, 0x3eaa0000,
    0x3eb13333, 0x3eb86666, 0x3ebf999a, 0x3ec6cccc, 0x3ece0000, 0x3ed53333, 0x3edc6666, 0x3ee3999a,
    0x3eeacccc, 0x3ef20000, 0x3ef93332, 0x3f003333, 0x3f03cccc, 0x3f076666, 0x3f0b0000, 0x3f0e999a,
    0x3f123334, 0x3f15cccd, 0x3f196666, 0x3f1d0000, 0x3f20999a, 0x3f243334, 0x3f27cccd, 0x3f2b6666,
    0x3f2f0000, 0x3f32999a, 0x3f363334, 0x3f39cccd, 0x3f3d6666, 0x3f410000, 0x3f44999a, 0x3f483333,
    0x3f4bcccd, 0x3f4f6666, 0x3f530000, 0x3f56999a, 0x3f5a3333, 0x3f5dcccd, 0x3f616666, 0x3f650000,
    0x3f68999a, 0x3f6c3333, 0x3f6fcccd, 0x3f736666, 0x3f770000, 0x3f7a999a, 0x3f7e3333
  };

  private Codebooks() {}

  static FourBitTable table(FourBitType type) {
    return switch (type) {
      case NF4 -> new FourBitTable(NF4, NF4_CODES);
      case FP4 -> new FourBitTable(fp4(), FP4_CODES);
    };
  }

  private static float[] fp4() {
    float[] sorted = new float[16];
    for (int i = 0; i < 8; i++) {
      sorted[8 + i] = FP4[i];
      sorted[7 - i] = i == 0 ? 0f : -FP4[i];
    }
    return sorted;
  }

  /// The 256 values of the signed dynamic map, ascending: 127 negative ones, 0, their mirror image,
  /// and 1.
  static float[] dynamicMap() {
    float[] map = new float[256];
    for (int i = 0; i < DYNAMIC.length; i++) {
      map[128 + i] = Float.intBitsToFloat(DYNAMIC[i]);
      map[126 - i] = -map[128 + i];
    }
    map[255] = 1f;
    return map;
  }
}
